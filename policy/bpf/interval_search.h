// Finds the sorted range, or the gap between two, in which a call's range starts.
//
// It compares upper words first, then lower words, so each step is one instruction. A start inside a range is
// a hit; a start in a gap is a hit if the end lies past the gap.
#pragma once

#include <span>

#include "policy/bpf/bpf_program.h"
#include "policy/bpf/call_range.h"
#include "policy/rules/range.h"

namespace libmseal::policy {

// Sorted disjoint ranges, and the jump target for calls that touch one.
struct RangeTarget {
  std::span<const Range> ranges;
  BpfProgram::Label hit;
};

// A call that touches both goes to `denied`. `watched` is only for narrow ranges.
BpfProgram::Label search_intervals(const RangeTarget& denied, const RangeTarget& watched,
                                   BpfProgram::Label miss, CallRange& range, BpfProgram& program);

}  // namespace libmseal::policy
