// The rule of sealing: may this call go on?
#pragma once

#include <cstdint>
#include <span>

#include "policy/mm_call.h"
#include "policy/seal.h"

namespace libmseal::policy {

struct Verdict {
  enum class Kind : std::uint8_t {
    allow,   // the kernel may run the call
    refuse,  // fails with EPERM, nothing is changed
    answer,  // returns `value` and is not run
  };

  Kind kind = Kind::allow;
  std::int64_t value = 0;

  bool operator==(const Verdict&) const = default;
};

inline constexpr Verdict kAllow{Verdict::Kind::allow, 0};
inline constexpr Verdict kRefuse{Verdict::Kind::refuse, 0};

// The arguments of brk that would unmap a sealed page of the heap [start_brk, present break); empty if there
// is none.
Range refused_breaks(std::span<const Seal> seals, const Range& heap, std::uint64_t page_size);

// What the seals of a process say to a call of it. Ranges of a call with a hidden extent must have been
// filled in; an unresolved one (hidden, first range empty) is refused, for nobody knows what it would touch.
//
// Follows mseal(2) as merged: an overlap with a sealed range refuses the whole call; a discarding madvise is
// refused only where the contents are kept (private, not writable). A brk that would unmap a sealed page
// answers 0, which every libc takes for ENOMEM; shmdt of a sealed segment answers 0 and leaves it, as the
// kernel does.
Verdict decide(const MmCall& call, std::span<const Seal> seals, const Range& refused_breaks);

}  // namespace libmseal::policy
