// The rule of sealing: may this call go on?
#pragma once

#include <cstdint>
#include <span>

#include "policy/rules/mm_call.h"
#include "policy/rules/seal.h"

namespace libmseal::policy {

struct Verdict {
  enum class Kind : std::uint8_t {
    allow,           // the kernel may run the call
    refuse,          // fails with EPERM, nothing is changed
    answer,          // returns `value` and is not run
    depends_on_file  // refused if the file that it maps lies on hugetlbfs
  };

  Kind kind = Kind::allow;
  std::int64_t value = 0;

  bool operator==(const Verdict&) const = default;
};

inline constexpr Verdict kAllow{Verdict::Kind::allow, 0};
inline constexpr Verdict kRefuse{Verdict::Kind::refuse, 0};
inline constexpr Verdict kDependsOnFile{Verdict::Kind::depends_on_file, 0};

// All that the rule asks of a process: attributes that are frozen with its seals, and facts that only grow.
struct SealedMemory {
  std::span<const Seal> seals;  // sorted, apart
  // The largest huge page that it may have, in bytes: the kernel moves several mappings at once (6.17).
  std::uint64_t huge_page = 0;
};

// The arguments of brk that would unmap one of the seals; empty: none would. `floor` is the lowest break that
// the kernel accepts, mm->start_brk (mm/mmap.c, brk; not so with CONFIG_COMPAT_BRK), `present` the present
// one. A mapping above that is never reached: the break does not grow over one (mm/mmap.c, do_brk).
Range refused_breaks(std::span<const Seal> seals, std::uint64_t floor, std::uint64_t present,
                     std::uint64_t page_size);

// What the seals of a process say to a call of it.
//
// Follows mseal(2) as merged: an overlap with a sealed range refuses the whole call; a discarding madvise is
// refused only where the contents are protected (private, not writable). shmdt of a sealed segment answers 0
// and leaves it, as the kernel does. A call that can't be judged is refused as soon as anything is sealed.
// brk is no concern of it: filters decide about that.
Verdict decide(const MmCall& call, const SealedMemory& memory);

}  // namespace libmseal::policy
