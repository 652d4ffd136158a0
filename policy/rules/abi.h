// The system calls that can change a mapping, as tables for each ABI.
//
// One process may use several ABIs: on x86_64 any instruction stream can enter through int 0x80 as i386. The
// numbers are the kernel's (arch/*/entry/syscalls), the audit values those of <linux/audit.h>.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>

namespace libmseal::policy {

enum class Call : std::uint8_t {
  mmap,              // address, length, protection, flags, fd, offset
  old_mmap,          // i386: all six in memory
  munmap,            // address, length
  mprotect,          // address, length, protection (pkey_mprotect too: its key changes nothing here)
  mremap,            // old address, old size, new size, flags, new address
  madvise,           // address, length, advice
  brk,               // new end of the heap
  shmat,             // id, address, flags
  shmdt,             // address
  ipc,               // i386: shmat, shmdt and shmget, selected by the first argument (ipc/syscall.c)
  remap_file_pages,  // address, length, ...
  io_setup,          // number of events; unmaps its own ring again if it fails
  io_destroy,        // context, which is the address of its ring
  shmget,            // key, size, flags
  mseal,             // address, length, flags
};

constexpr std::string_view name_of(Call call) {
  constexpr std::string_view kNames[] = {
      "mmap",  "old_mmap", "munmap",           "mprotect", "mremap",     "madvise", "brk",  "shmat",
      "shmdt", "ipc",      "remap_file_pages", "io_setup", "io_destroy", "shmget",  "mseal"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Call::mseal) + 1);
  return kNames[static_cast<std::size_t>(call)];
}

struct CallNumber {
  std::uint32_t number;
  Call call;
};

// The numbers of the calls that can create a process that shares the caller's memory.
struct CloneNumbers {
  std::uint32_t clone;   // flags first
  std::uint32_t vfork;   // ~0: the ABI has no such call
  std::uint32_t clone3;  // flags in memory
};

// Calls that the filters block in part or as a whole (blocked_calls.h). ~0: the ABI has no such call.
struct BlockedNumbers {
  std::uint32_t prctl;
  std::uint32_t arch_prctl;
  std::uint32_t memfd_create;
  std::uint32_t uselib;
  std::uint32_t seccomp;
};

struct Abi {
  std::uint32_t audit_arch;
  std::span<const CallNumber> calls;   // sorted by number
  std::uint32_t first_foreign_number;  // from here on numbers belong to another ABI (x32), 0: none
  // The bits of an argument register that the kernel reads. seccomp_data has all 64, and in a call by int
  // 0x80 the upper halves can contain anything.
  std::uint64_t argument_mask;
  CloneNumbers clones;
  BlockedNumbers blocked;
  std::uint32_t set_tid_address;  // the first call of every image that libc starts

  [[nodiscard]] constexpr bool has_short_arguments() const { return argument_mask <= 0xFFFF'FFFFU; }
  // No call names an address at or above this: 32-bit start plus 32-bit length. 0: no limit.
  static constexpr std::uint64_t kShortReach = 1ULL << 33;
  [[nodiscard]] constexpr std::uint64_t reach() const { return has_short_arguments() ? kShortReach : 0; }
};

inline constexpr std::uint32_t kAuditX86_64 = 0xC000003E;
inline constexpr std::uint32_t kAuditI386 = 0x40000003;
inline constexpr std::uint32_t kAuditAarch64 = 0xC00000B7;

// The same on every architecture but alpha.
inline constexpr std::uint32_t kIoUringSetupNumber = 425;
inline constexpr std::uint32_t kProcessMadviseNumber = 440;
inline constexpr std::uint32_t kMapShadowStackNumber = 453;
inline constexpr std::uint32_t kMsealNumber = 462;

// Arguments of such calls, which kernel headers may be too old for.
inline constexpr std::uint32_t kArchGetUntagMask = 0x4001;     // ARCH_GET_UNTAG_MASK
inline constexpr std::uint32_t kArchTaggedAddresses = 0x4002;  // ARCH_ENABLE_TAGGED_ADDR
inline constexpr std::uint32_t kArchShadowStackOn = 0x5001;    // ARCH_SHSTK_ENABLE
inline constexpr std::uint32_t kArchShadowStackOff = 0x5002;   // ARCH_SHSTK_DISABLE
inline constexpr std::uint32_t kShadowStackStatus = 75;        // PR_SET_SHADOW_STACK_STATUS
inline constexpr std::uint32_t kShadowStackEnable = 1;         // PR_SHADOW_STACK_ENABLE
inline constexpr std::uint32_t kMemfdHugetlb = 4;              // MFD_HUGETLB
inline constexpr std::uint32_t kNewUserfault = 0xAA00;         // USERFAULTFD_IOC_NEW, of /dev/userfaultfd

inline constexpr auto kX86_64Calls = std::to_array<CallNumber>({
    {9, Call::mmap},
    {10, Call::mprotect},
    {11, Call::munmap},
    {12, Call::brk},
    {25, Call::mremap},
    {28, Call::madvise},
    {29, Call::shmget},
    {30, Call::shmat},
    {67, Call::shmdt},
    {206, Call::io_setup},
    {207, Call::io_destroy},
    {216, Call::remap_file_pages},
    {329, Call::mprotect},
    {462, Call::mseal},
});

inline constexpr auto kI386Calls = std::to_array<CallNumber>({
    {45, Call::brk},
    {90, Call::old_mmap},
    {91, Call::munmap},
    {117, Call::ipc},
    {125, Call::mprotect},
    {163, Call::mremap},
    {192, Call::mmap},
    {219, Call::madvise},
    {245, Call::io_setup},
    {246, Call::io_destroy},
    {257, Call::remap_file_pages},
    {380, Call::mprotect},
    {395, Call::shmget},
    {397, Call::shmat},
    {398, Call::shmdt},
    {462, Call::mseal},
});

inline constexpr auto kAarch64Calls = std::to_array<CallNumber>({
    {0, Call::io_setup},
    {1, Call::io_destroy},
    {194, Call::shmget},
    {196, Call::shmat},
    {197, Call::shmdt},
    {214, Call::brk},
    {215, Call::munmap},
    {216, Call::mremap},
    {222, Call::mmap},
    {226, Call::mprotect},
    {233, Call::madvise},
    {234, Call::remap_file_pages},
    {288, Call::mprotect},
    {462, Call::mseal},
});

inline constexpr std::uint32_t kX32Bit = 0x40000000;

// How many registers are checked for bits that i386 does not have. 64-bit code uses the sixth for other data.
inline constexpr std::uint32_t kShownArguments = 5;

inline constexpr auto kX86Abis = std::to_array<Abi>({
    {kAuditX86_64, kX86_64Calls, kX32Bit, ~0ULL, {56, 58, 435}, {157, 158, 319, 134, 317}, 218},
    {kAuditI386, kI386Calls, 0, 0xFFFF'FFFFULL, {120, 190, 435}, {172, 384, 356, 86, 354}, 258},
});
inline constexpr auto kArm64Abis = std::to_array<Abi>(
    {{kAuditAarch64, kAarch64Calls, 0, ~0ULL, {220, ~0U, 435}, {167, ~0U, 279, ~0U, 277}, 96}});

// The sizes of huge pages, in ascending order.
inline constexpr auto kX86HugePages = std::to_array<std::uint64_t>({2U << 20, 1U << 30});
// With 4 KiB, 16 KiB and 64 KiB pages, contiguous entries included (arch/arm64/mm/hugetlbpage.c).
inline constexpr auto kArm64HugePages =
    std::to_array<std::uint64_t>({64U << 10, 2U << 20, 32U << 20, 512U << 20, 1U << 30, 16ULL << 30});

// The addresses and ABIs of an architecture.
struct Machine {
  std::span<const Abi> abis;   // the native one first
  std::uint64_t address_mask;  // bits of an address that the kernel looks at: x86 LAM 62:57, arm64 TBI 63:56
  std::uint64_t page_size;
  std::span<const std::uint64_t> huge_pages;

  // The largest huge page that can lie at the address; 0 if none can.
  [[nodiscard]] constexpr std::uint64_t huge_page_at(std::uint64_t address) const {
    std::uint64_t largest = 0;
    for (const std::uint64_t size : huge_pages) {
      if (address % size == 0) largest = size;
    }
    return largest;
  }
};

inline constexpr Machine kX86Machine{kX86Abis, ~0x7E00'0000'0000'0000ULL, 4096, kX86HugePages};

constexpr Machine arm64_machine(std::uint64_t page_size) {
  return {kArm64Abis, 0x00FF'FFFF'FFFF'FFFFULL, page_size, kArm64HugePages};
}

}  // namespace libmseal::policy
