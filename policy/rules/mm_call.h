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
    none,     // changes no existing mapping, or is refused whatever is sealed, or is brk (RangeProgram)
    modify,   // unmaps, replaces, moves, resizes or re-protects what lies in the ranges
    discard,  // throws away or withholds contents (madvise)
    detach,   // shmdt: unmaps what is left of the segment that was attached at `argument`
    make_huge_pages,  // maps or makes memory of huge pages, and replaces nothing
    unjudgeable,  // what it touches shows neither in registers nor in anything that can't change meanwhile
    seal,         // mseal(2)
  };

  Call call = Call::munmap;
  Effect effect = Effect::none;
  // Legal, but nothing that a healthy program does often: a range that reaches a multiple of 4 GiB above its
  // start, mremap to a chosen place or without a size, advice that is not everyday, PROT_GROWSDOWN, huge
  // pages or what may be some, remap_file_pages, and shmdt. Where there is a supervisor, it decides about all
  // of them, so that the filters of single seals can be short.
  bool deferred = false;
  // mprotect with PROT_GROWSDOWN: from the start of the stack that the range is in. Not with PROT_GROWSUP as
  // well, which the kernel refuses.
  bool grows_down = false;
  // What the call touches at most, as its registers say. The second is the target of mremap, and of mmap
  // where a bpf arena goes that does not fit below a multiple of 4 GiB.
  std::array<Range, 2> ranges{};
  // What it touches besides if huge pages are involved: for mmap MAP_FIXED of a file, if the file `argument`
  // lies on hugetlbfs; for mremap, at most, if any mapping in the source is of huge pages.
  Range if_huge{};
  bool makes_huge_pages = false;
  std::uint64_t huge_page = 0;  // what it makes are of this size; 0: of the usual one
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
// WIPEONFORK, DONTNEED_LOCKED, GUARD_INSTALL, the set of mseal(2).
inline constexpr auto kDiscardingAdvice = std::to_array<std::uint32_t>({4, 8, 9, 10, 18, 24, 102});

// Those of them that healthy programs give all day: allocators the first two, generators of random numbers
// (and this library) WIPEONFORK, and libc (since glibc 2.42) the last one for the stack of each thread.
inline constexpr auto kEverydayAdvice = std::to_array<std::uint32_t>({4, 8, 18, 102});

constexpr bool is_everyday(std::uint32_t advice) {
  for (const std::uint32_t everyday : kEverydayAdvice) {
    if (advice == everyday) return true;
  }
  return false;
}

constexpr bool is_discarding(std::uint32_t advice) {
  for (const std::uint32_t discarding : kDiscardingAdvice) {
    if (advice == discarding) return true;
  }
  return false;
}

using Arguments = std::array<std::uint64_t, 6>;

// Whether the registers are ones that a call of that ABI has.
inline bool fit(const Abi& abi, const Arguments& arguments) {
  return std::all_of(arguments.begin(), arguments.begin() + kShownArguments,
                     [&](std::uint64_t one) { return (one & ~abi.argument_mask) == 0; });
}

// The call that `abi` has under `number`; effect none if it has none. Bits of the arguments that the kernel
// does not read are ignored. Ranges are those that the kernel would work on: unaligned, empty and wrapping
// ones, which it refuses, are left empty.
MmCall decode(const Machine& machine, const Abi& abi, std::uint32_t number, const Arguments& arguments);

// What the number is in that ABI; null if it is none of the calls that we know.
const CallNumber* find_call(const Abi& abi, std::uint32_t number);

const Abi* find_abi(const Machine& machine, std::uint32_t audit_arch);

}  // namespace libmseal::policy
