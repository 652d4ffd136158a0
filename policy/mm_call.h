// One system call, decoded to what it would do to mappings.
#pragma once

#include <array>
#include <cstdint>

#include "policy/abi.h"
#include "policy/range.h"

namespace libmseal::policy {

struct MmCall {
  enum class Effect : std::uint8_t {
    none,          // changes no existing mapping, or the kernel refuses it whatever is sealed
    modify,        // unmaps, replaces, moves, resizes or re-protects what lies in the ranges
    discard,       // throws away or withholds contents (madvise)
    lower_break,   // brk: unmaps from the argument up to the present end of the heap
    share_memory,  // clone: another thread group gets this memory
    seal,          // mseal(2)
  };

  // Calls whose arguments do not show what they touch. Somebody who can look has to fill in the ranges.
  enum class Hidden : std::uint8_t {
    none,
    grows_down,  // mprotect PROT_GROWSDOWN: from the start of the stack mapping
    grows_up,    // mprotect PROT_GROWSUP: to the end of the mapping
    huge_pages,  // mmap MAP_FIXED of huge pages: the length is rounded up to one
    segment,     // shmat SHM_REMAP: as long as the segment
    attached,    // shmdt: the segment attached here
    ring,        // io_destroy: the ring mapped here
    rounded,     // remap_file_pages: an unaligned start is no error, it is rounded down
    in_memory,   // i386 old_mmap and ipc: arguments behind a pointer, which can change under the reader
  };

  Call call = Call::munmap;
  Effect effect = Effect::none;
  Hidden hidden = Hidden::none;
  // Legal, but nothing that a healthy program does often: a range that reaches a multiple of 4 GiB above its
  // start, mremap to a chosen place or without a size, advice other than MADV_DONTNEED and MADV_FREE,
  // remap_file_pages. Where there is a supervisor, it decides about all of them, so that the filters of
  // single seals can be short.
  bool rare = false;
  std::array<Range, 2> ranges{};  // the second is mremap's target; both may be empty
  std::uint64_t argument = 0;     // lower_break: the new break; segment: the id; huge_pages: the fd, or -1
};

inline constexpr std::uint32_t kProtGrowsDown = 0x01000000;
inline constexpr std::uint32_t kProtGrowsUp = 0x02000000;
inline constexpr std::uint32_t kMapFixed = 0x10;
inline constexpr std::uint32_t kMapAnonymous = 0x20;
inline constexpr std::uint32_t kMapHugetlb = 0x40000;
inline constexpr std::uint32_t kMapFixedNoreplace = 0x100000;
inline constexpr std::uint32_t kMremapFixed = 2;
inline constexpr std::uint32_t kShmRemap = 040000;
inline constexpr std::uint32_t kIpcShmat = 21;
inline constexpr std::uint32_t kIpcShmdt = 22;
inline constexpr std::uint32_t kCloneVm = 0x100;
inline constexpr std::uint32_t kCloneVfork = 0x4000;
inline constexpr std::uint32_t kCloneThread = 0x10000;

// The kernel reads advice as an int: only the low 32 bits count. DONTNEED, FREE, REMOVE, DONTFORK,
// WIPEONFORK, DONTNEED_LOCKED, GUARD_INSTALL, the set of mseal(2).
inline constexpr auto kDiscardingAdvice = std::to_array<std::uint32_t>({4, 8, 9, 10, 18, 24, 102});

// Those of them that allocators give all day.
inline constexpr auto kEverydayAdvice = std::to_array<std::uint32_t>({4, 8});

constexpr bool is_everyday(std::uint32_t advice) {
  return advice == kEverydayAdvice[0] || advice == kEverydayAdvice[1];
}

constexpr bool is_discarding(std::uint32_t advice) {
  for (const std::uint32_t discarding : kDiscardingAdvice) {
    if (advice == discarding) return true;
  }
  return false;
}

using Arguments = std::array<std::uint64_t, 6>;

// The call that `abi` has under `number`; effect none if it has none. Ranges are those that the kernel would
// work on: unaligned, empty and wrapping ones, which the kernel refuses, are left empty.
MmCall decode(const Machine& machine, const Abi& abi, std::uint32_t number, const Arguments& arguments);

// What the number is in that ABI; null if it is none of the calls that we know.
const CallNumber* find_call(const Abi& abi, std::uint32_t number);

// Whether the number is, in any ABI of the machine, that of a call that can change a mapping.
bool changes_memory(const Machine& machine, std::uint64_t number);

const Abi* find_abi(const Machine& machine, std::uint32_t audit_arch);

}  // namespace libmseal::policy
