// One system call, decoded to what it would do to mappings.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "policy/rules/abi.h"
#include "policy/rules/range.h"

namespace libmseal::policy {

struct MmCall {
  enum class Effect : std::uint8_t {
    none,         // changes no existing mapping, fails in any case, or is brk (see RangeProgram)
    modify,       // unmaps, replaces, moves, resizes or re-protects what lies in the ranges
    discard,      // throws away or withholds contents (madvise)
    detach,       // shmdt: unmaps what is left of the segment that was attached at `argument`
    unjudgeable,  // neither the registers nor anything immutable shows what it touches
    seal,         // mseal(2)
  };

  Call call = Call::munmap;
  Effect effect = Effect::none;
  // Rare in healthy programs: a range that crosses a multiple of 4 GiB, mremap to a chosen address, with an
  // old size of 0 or perhaps of huge pages, uncommon advice, PROT_GROWSDOWN, remap_file_pages, shmdt. The
  // filter of a single seal delegates all of them to the supervisor, if there is one, and so can be short.
  bool delegated = false;
  // mprotect with PROT_GROWSDOWN, which starts at the beginning of the stack that contains the range. Not
  // set together with PROT_GROWSUP, which the kernel refuses.
  bool grows_down = false;
  // The most that the call can touch according to its registers. The second range is the target of mremap.
  // For mmap it is where the kernel moves a bpf arena that would cross a multiple of 4 GiB.
  std::array<Range, 2> ranges{};
  // What the call also touches if huge pages are involved: for mmap with MAP_FIXED, if the file `argument` is
  // on hugetlbfs; for mremap, if the source contains huge pages (an upper bound, at the source if it shrinks,
  // otherwise at the target).
  Range if_huge{};
  bool makes_huge_pages = false;
  std::uint64_t huge_page = 0;  // the size of the huge pages that it creates; 0: the default size
  // mmap: the file; shmdt: the address; io_setup: the number of events; io_destroy: the address of the ring.
  std::uint64_t argument = 0;
};

inline constexpr std::uint32_t kProtGrowsDown = 0x01000000;
inline constexpr std::uint32_t kProtGrowsUp = 0x02000000;
inline constexpr std::uint32_t kMapFixed = 0x10;
inline constexpr std::uint32_t kMapAnonymous = 0x20;
inline constexpr std::uint32_t kMapHugetlb = 0x40000;
inline constexpr std::uint32_t kMapFixedNoreplace = 0x100000;
inline constexpr std::uint32_t kMremapFixed = 2;
inline constexpr std::uint32_t kShmRemap = 040000;
inline constexpr std::uint32_t kShmHugetlb = 04000;
inline constexpr std::uint32_t kIpcShmat = 21;
inline constexpr std::uint32_t kIpcShmdt = 22;
inline constexpr std::uint32_t kIpcShmget = 23;

// The kernel reads advice as an int: only the low 32 bits count. DONTNEED, FREE, REMOVE, DONTFORK,
// WIPEONFORK, DONTNEED_LOCKED, GUARD_INSTALL: those that mseal(2) refuses.
inline constexpr auto kDiscardingAdvice = std::to_array<std::uint32_t>({4, 8, 9, 10, 18, 24, 102});

// Those that healthy programs often use: DONTNEED and FREE by allocators, WIPEONFORK by random number
// generators and this library, GUARD_INSTALL by glibc (since 2.42) for the stack of each thread.
inline constexpr auto kEverydayAdvice = std::to_array<std::uint32_t>({4, 8, 18, 102});

constexpr bool is_everyday(std::uint32_t advice) {
  return std::ranges::find(kEverydayAdvice, advice) != kEverydayAdvice.end();
}

constexpr bool is_discarding(std::uint32_t advice) {
  return std::ranges::find(kDiscardingAdvice, advice) != kDiscardingAdvice.end();
}

using Arguments = std::array<std::uint64_t, 6>;

// Whether no register has bits that the ABI does not have.
inline bool fit(const Abi& abi, const Arguments& arguments) {
  return std::all_of(arguments.begin(), arguments.begin() + kShownArguments,
                     [&](std::uint64_t one) { return (one & ~abi.argument_mask) == 0; });
}

// The call with this number in `abi`; effect none if there is no such call. Argument bits that the kernel
// does not read are ignored. Ranges that the kernel would refuse (unaligned, empty, wrapping) are left empty.
MmCall decode(const Machine& machine, const Abi& abi, std::uint32_t number, const Arguments& arguments);

// Null if the number is not one of the calls in abi.h.
const CallNumber* find_call(const Abi& abi, std::uint32_t number);

const Abi* find_abi(const Machine& machine, std::uint32_t audit_arch);

}  // namespace libmseal::policy
