// The compiler from ranges to a BPF program that finds the calls touching them.
//
// "Does [address, address + length) touch [s, e)" needs a 64-bit sum of two arguments, which seccomp rule
// compilers do not have. call_range.h has the sum, interval_search.h the search.
//
// Calls that touch nothing take the shortest way, because they are the usual ones.
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>

#include "policy/bpf/bpf_program.h"
#include "policy/rules/abi.h"
#include "policy/rules/range.h"

namespace libmseal::policy {

inline constexpr std::uint32_t kActionRefuse = SECCOMP_RET_ERRNO | EPERM;
inline constexpr std::uint32_t kActionNotify = SECCOMP_RET_USER_NOTIF;
inline constexpr std::uint32_t kActionAnswerZero = SECCOMP_RET_ERRNO | 0;
inline constexpr std::uint32_t kActionNoSuchCall = SECCOMP_RET_ERRNO | ENOSYS;

// What a program refuses by itself, and exactly: nothing that the kernel would refuse anyway counts. Each
// list is sorted, and its ranges are apart.
struct DeniedRanges {
  std::span<const Range> ranges;    // what no call may unmap, replace, move, resize or re-protect
  std::span<const Range> contents;  // what no madvise may discard
  // brk arguments that answer 0. brk is never notified: a signal could end it with EINTR. libc would take
  // that for the new break, and malloc would write behind the heap.
  Range breaks{};
  bool protection = true;  // mprotect is refused as well; else it is no concern of this program
};

// What is refused besides where there is no supervisor to look any closer.
struct Unsupervised {
  bool refuse_grows_down = false;                // every mprotect with PROT_GROWSDOWN
  std::span<const std::uint64_t> attachments{};  // what shmdt answers 0 for
  bool refuse_huge_pages = false;                // every attempt to make some; of the first filter alone
};

// What the first filter answers to calls that no filter can judge; none: the call is open.
struct UnjudgeableCalls {
  std::optional<std::uint32_t> shm_remap;   // shmat with SHM_REMAP
  std::optional<std::uint32_t> old_mmap;    // i386, arguments in memory
  std::optional<std::uint32_t> io_setup;    // which unmaps its ring again if it fails,
  std::optional<std::uint32_t> io_destroy;  // and this too, wherever the ring is by then
  // Memory calls of i386, and clone, with something in the upper half of a register. The kernel ignores it,
  // but /proc/PID/syscall shows it without the ABI. Such a call looks like one of x86_64 there, so a thread
  // that sleeps in it would not be waited for (parsers/syscall_line.h).
  std::optional<std::uint32_t> wide;
};

// One of the four programs below.
struct RangeProgram {
  // Who decides about calls that MmCall calls deferred.
  enum class Deferred : std::uint8_t { decided_here, notified, left_to_first_filter };

  DeniedRanges denied;
  Deferred deferred = Deferred::decided_here;
  std::span<const Range> watched{};         // somebody decides each hit, so hit early rather than look twice
  Unsupervised unsupervised{};              // if decided here
  std::optional<UnjudgeableCalls> first{};  // the first filter

  [[nodiscard]] bool is_first() const { return first.has_value(); }
  [[nodiscard]] bool notifies() const { return deferred == Deferred::notified; }
};

// The first filter has an answer to mseal(2), and refuses numbers of an ABI that shares the architecture
// (x32) with ENOSYS. With a supervisor it notifies it of what touches `watched`, sorted and apart, of
// deferred calls and of mseal(2).
constexpr RangeProgram first_filter(const DeniedRanges& denied, std::span<const Range> watched,
                                    const UnjudgeableCalls& unjudgeable) {
  return {denied, RangeProgram::Deferred::notified, watched, {}, unjudgeable};
}
constexpr RangeProgram first_filter_without_supervisor(const DeniedRanges& denied,
                                                       const Unsupervised& unsupervised,
                                                       const UnjudgeableCalls& unjudgeable) {
  return {denied, RangeProgram::Deferred::decided_here, {}, unsupervised, unjudgeable};
}
// A later filter, of one seal or of a batch. With a supervisor the first filter notifies deferred calls, so
// the later ones let them pass.
constexpr RangeProgram filter_of_seals(const DeniedRanges& denied) {
  return {denied, RangeProgram::Deferred::left_to_first_filter};
}
constexpr RangeProgram filter_of_seals_without_supervisor(const DeniedRanges& denied,
                                                          const Unsupervised& unsupervised) {
  return {denied, RangeProgram::Deferred::decided_here, {}, unsupervised};
}

// Writes the program in front of `program`, which must already hold what runs for calls that are no concern
// of this one: `other` is where they go. Returns false if it does not fit.
//
// A program without `watched` agrees with decide() on every call that is not left to others, but for
// calls that hardly anybody makes: where it decides about deferred calls it refuses some that touch nothing
// (huge pages; mremap to a multiple of a huge page of a size that is none, or to a place that lies in a huge
// page as the source does and ends in the middle of one; PROT_GROWSDOWN as said above; remap_file_pages with
// an unaligned start). What is watched may hit more often
// (empty and unaligned ranges), never less.
//
// The commonest program, that of one seal above 8 GiB with a supervisor, has a form of its own
// (single_seal.h): it is compiled if it will do.
bool compile(const Machine& machine, const RangeProgram& what, BpfProgram::Label other, BpfProgram& program);

}  // namespace libmseal::policy
