// The compiler from ranges to a BPF program that finds the calls touching them.
//
// "Does [address, address + length) touch [s, e)" needs a 64-bit sum of two arguments, which seccomp rule
// compilers do not have. The program computes the sum in 32-bit halves with carry, then searches the
// boundaries of all ranges for the address: first by upper word, then by lower word, so that one step of the
// search is one instruction. An address inside a range is a hit; one in a gap is a hit if the sum goes past
// the gap.
//
// Calls that touch nothing leave by the shortest way: they are what every program does all day.
#pragma once

#include <cstdint>
#include <span>

#include "policy/bpf/bpf_program.h"
#include "policy/rules/abi.h"
#include "policy/rules/range.h"

namespace libmseal::policy {

// Two lists, each sorted and apart.
struct ProtectedRanges {
  std::span<const Range> ranges;    // what no call may unmap, replace, move, resize or re-protect
  std::span<const Range> contents;  // what no madvise may discard
};

// Every action is a return value of seccomp; 0: such calls are not this program's business.
struct RangeProgram {
  ProtectedRanges denied;    // refused here, and exactly: nothing that the kernel would refuse anyway counts
  std::uint32_t denial = 0;  // the action for a call that touches one of them
  // brk arguments that answer 0. No brk is ever notified: libc takes the EINTR of a call that a signal takes
  // back for the new break, and malloc writes behind the heap.
  Range refused_breaks{};
  ProtectedRanges watched;   // somebody decides each hit, so hit early rather than look twice
  std::uint32_t notice = 0;  // the action for a call that touches one of these

  // What to do with calls that MmCall calls deferred. 0: decide about them here, like about all others;
  // SECCOMP_RET_ALLOW: an older filter brings them to whoever decides.
  std::uint32_t deferred = 0;

  // Of programs that decide about deferred calls here, where nobody can look any closer.
  bool refuse_grows_down = false;                // every mprotect with PROT_GROWSDOWN
  std::span<const std::uint64_t> attachments{};  // what shmdt answers 0 for

  // Of the first filter alone.
  bool refuse_huge_pages = false;  // every attempt to make some: without a supervisor
  std::uint32_t shm_remap = 0;     // shmat with SHM_REMAP
  std::uint32_t old_mmap = 0;      // i386, arguments in memory
  std::uint32_t io_destroy = 0;    // which unmaps wherever its ring is by then
  std::uint32_t mseal = 0;
  bool refuse_foreign = false;  // numbers of an ABI that shares the architecture (x32) fail with ENOSYS
};

// Writes the program in front of `program`, which must already hold what runs for calls that are no concern
// of this one: `other` is where they go. Returns false if it does not fit.
//
// A program without `watched` agrees with decide() on every call that is not left to `deferred`, but for
// calls that hardly anybody makes: where it decides about deferred calls it refuses some that touch nothing
// (huge pages; mremap to a multiple of a huge page of a size that is none; PROT_GROWSDOWN as said above;
// remap_file_pages with an unaligned start). What is watched may hit more often
// (empty and unaligned ranges), never less.
//
// The commonest program, that of one seal above 8 GiB with everything deferred left to others, has a form of
// its own of 30 instructions: it is compiled if it will do.
bool compile(const Machine& machine, const RangeProgram& what, BpfProgram::Label other, BpfProgram& program);

}  // namespace libmseal::policy
