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

#include "policy/abi.h"
#include "policy/bpf_program.h"
#include "policy/range.h"

namespace libmseal::policy {

struct RangeProgram {
  std::span<const Range> ranges;  // sorted, apart: what no call may unmap, replace, move, resize, re-protect
  std::span<const Range> contents;  // sorted, apart: what no madvise may discard
  Range refused_breaks{};           // brk arguments that answer 0
  std::uint32_t hit = 0;            // the action for a call that touches a range
  bool exact = true;                // false: somebody decides each hit, so hit early rather than look twice

  // What to do with calls that MmCall calls rare. 0: decide about them here, like about all others.
  std::uint32_t rare = 0;

  // What to do with calls whose extent the arguments do not show, with clone that shares memory outside the
  // thread group, and with mseal itself. 0: they are not this program's business.
  std::uint32_t hidden = 0;
  bool suspect_huge_files =
      false;                    // mmap MAP_FIXED of any file at a multiple of a huge page counts as hidden
  bool refuse_foreign = false;  // numbers of an ABI that shares the architecture (x32) fail with ENOSYS
  std::uint32_t mseal = 0;      // 0: not this program's business
  std::uint32_t every_brk = 0;  // what to do with each brk, whatever refused_breaks are. 0: nothing
};

// Writes the program in front of `program`, which must already hold what runs for calls that are no concern
// of this one: `other` is where they go. Returns false if it does not fit.
//
// An exact program agrees with decide() on every call whose extent is visible and that is not left to `rare`;
// one that is not may hit more often (empty and unaligned ranges, every mremap with a target), never less.
//
// The commonest program, that of one seal above 8 GiB with everything rare left to others, has a form of its
// own of 42 instructions: it is compiled if it will do.
bool compile(const Machine& machine, const RangeProgram& what, BpfProgram::Label other, BpfProgram& program);

}  // namespace libmseal::policy
