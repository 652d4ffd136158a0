// Compiles ranges to a BPF program that finds the calls that touch them.
//
// Whether [address, address + length) touches [s, e) depends on a 64-bit sum of two arguments, which seccomp
// rule compilers can't compute. call_range.h writes the sum, interval_search.h the search.
//
// Calls that touch nothing take the shortest path, because they are the most common.
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>

#include "policy/bpf/bpf_program.h"
#include "policy/rules/abi.h"
#include "policy/rules/range.h"
#include "policy/rules/tree_question.h"

namespace libmseal::policy {

inline constexpr std::uint32_t kActionRefuse = SECCOMP_RET_ERRNO | EPERM;
inline constexpr std::uint32_t kActionNotify = SECCOMP_RET_USER_NOTIF;
inline constexpr std::uint32_t kActionAnswerZero = SECCOMP_RET_ERRNO | 0;
inline constexpr std::uint32_t kActionNoSuchCall = SECCOMP_RET_ERRNO | ENOSYS;
inline constexpr std::uint32_t kActionIsInTree = SECCOMP_RET_ERRNO | kInTree;

// What a program refuses by itself. It is exact: a call that the kernel would refuse anyway is not a hit.
// Each list is sorted, and its ranges are disjoint.
struct DeniedRanges {
  std::span<const Range> ranges;    // what no call may unmap, replace, move, resize or re-protect
  std::span<const Range> contents;  // what no madvise may discard
  // brk arguments that answer 0. brk is never a notified call: a signal could end it with EINTR, which libc
  // would mistake for the new break, and malloc would write past the heap.
  Range breaks{};
  bool protection = true;  // whether mprotect is refused, too
};

// What a filter also refuses if there is no supervisor that could decide it.
struct Unsupervised {
  bool refuse_grows_down = false;                // every mprotect with PROT_GROWSDOWN
  std::span<const std::uint64_t> attachments{};  // what shmdt answers 0 for
  bool refuse_huge_pages = false;                // every creation of huge pages; only in the first filter
};

// The first filter's answers to calls that no filter can decide; nullopt: the call is allowed.
struct UnjudgeableCalls {
  std::optional<std::uint32_t> shm_remap;   // shmat with SHM_REMAP
  std::optional<std::uint32_t> old_mmap;    // i386, arguments in memory
  std::optional<std::uint32_t> io_setup;    // unmaps its ring again if it fails
  std::optional<std::uint32_t> io_destroy;  // unmaps whatever lies at the address of the ring
  // i386 memory calls and clone with bits in the upper half of a register. The kernel ignores these bits, but
  // /proc/PID/syscall shows them, without the ABI. The call would look like one of x86_64, and a seal would
  // not wait for a thread that sleeps in it (parsers/syscall_line.h).
  std::optional<std::uint32_t> wide;
};

// The input of compile(): one of the four programs below.
struct RangeProgram {
  // Who decides delegated calls (MmCall::delegated).
  enum class DelegatedCalls : std::uint8_t { decided_here, notified, left_to_first_filter };

  DeniedRanges denied;
  DelegatedCalls delegated = DelegatedCalls::decided_here;
  std::span<const Range> watched{};         // the supervisor checks each hit, so false hits are harmless
  Unsupervised unsupervised{};              // if decided here
  std::optional<UnjudgeableCalls> first{};  // the first filter

  [[nodiscard]] bool is_first() const { return first.has_value(); }
  [[nodiscard]] bool notifies() const { return delegated == DelegatedCalls::notified; }
};

// The first filter also answers mseal(2), and refuses x32 numbers with ENOSYS. With a supervisor it notifies
// of calls that touch `watched` (sorted, disjoint), of delegated calls and of mseal(2).
constexpr RangeProgram first_filter(const DeniedRanges& denied, std::span<const Range> watched,
                                    const UnjudgeableCalls& unjudgeable) {
  return {denied, RangeProgram::DelegatedCalls::notified, watched, {}, unjudgeable};
}
constexpr RangeProgram first_filter_without_supervisor(const DeniedRanges& denied,
                                                       const Unsupervised& unsupervised,
                                                       const UnjudgeableCalls& unjudgeable) {
  return {denied, RangeProgram::DelegatedCalls::decided_here, {}, unsupervised, unjudgeable};
}
// A later filter, for one seal or a batch. With a supervisor it allows delegated calls, because the first
// filter notifies of them.
constexpr RangeProgram filter_of_seals(const DeniedRanges& denied) {
  return {denied, RangeProgram::DelegatedCalls::left_to_first_filter};
}
constexpr RangeProgram filter_of_seals_without_supervisor(const DeniedRanges& denied,
                                                          const Unsupervised& unsupervised) {
  return {denied, RangeProgram::DelegatedCalls::decided_here, {}, unsupervised};
}

// Prepends the program to `program`. Calls that it does not refuse or notify go on to `other`, a label in
// `program`. Returns false if it does not fit.
//
// A program without `watched` agrees with decide() on every call that it decides, with rare exceptions: if it
// decides delegated calls, it refuses some that touch nothing (huge pages; mremap to a huge page boundary
// with a size that is not a multiple of it, or with source and target at the same offset in a huge page and
// an end inside one; PROT_GROWSDOWN as said above; remap_file_pages with an unaligned start). `watched` may
// also hit for empty and unaligned ranges, but never misses a call.
//
// The most common program, for one seal above 8 GiB with a supervisor, has a short form (single_seal.h),
// which is used where possible.
bool compile(const Machine& machine, const RangeProgram& what, BpfProgram::Label other, BpfProgram& program);

}  // namespace libmseal::policy
