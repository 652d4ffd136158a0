// Finds the sorted range, or the gap between two, in which a call's range starts.
//
// First by upper word, then by lower word, so that one step is one instruction. A start inside a range is a
// hit; one in a gap is a hit if the end goes past the gap.
#pragma once

#include <span>

#include "policy/bpf/bpf_program.h"
#include "policy/bpf/call_range.h"
#include "policy/rules/range.h"

namespace libmseal::policy {

// Sorted ranges that are apart, and where a call goes that touches one.
struct RangeTarget {
  std::span<const Range> ranges;
  BpfProgram::Label hit;
};

// `denied` comes first where a call touches both. `watched` is for narrow ranges alone.
BpfProgram::Label search_intervals(const RangeTarget& denied, const RangeTarget& watched,
                                   BpfProgram::Label miss, CallRange& range, BpfProgram& program);

}  // namespace libmseal::policy
