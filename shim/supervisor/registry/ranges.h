// Lists of ranges.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "policy/rules/range.h"

namespace libmseal::supervisor {

// Sorts the ranges, joins those that touch, and removes empty ones.
inline void join_touching(std::vector<policy::Range>& ranges) {
  std::ranges::sort(ranges, {}, &policy::Range::start);
  std::vector<policy::Range> joined;
  for (const policy::Range& range : ranges) {
    if (!joined.empty() && range.start <= joined.back().end) {
      joined.back().end = std::max(joined.back().end, range.end);
    } else if (!range.empty()) {
      joined.push_back(range);
    }
  }
  ranges = std::move(joined);
}

// Where a filter that was inherited through execve still refuses changes.
struct Fence {
  policy::Range range;
  std::uint32_t filters = 0;  // a process with this fence has at least this many filters; 0: not known
};

// The same for fences. A process that may have one of the parts may have the joined fence.
inline void join_touching(std::vector<Fence>& fences) {
  std::ranges::sort(fences, {}, policy::start_of);
  std::vector<Fence> joined;
  for (const Fence& fence : fences) {
    if (!joined.empty() && fence.range.start <= joined.back().range.end) {
      joined.back().range.end = std::max(joined.back().range.end, fence.range.end);
      joined.back().filters = std::min(joined.back().filters, fence.filters);
    } else if (!fence.range.empty()) {
      joined.push_back(fence);
    }
  }
  fences = std::move(joined);
}

}  // namespace libmseal::supervisor
