// Lists of ranges.
#pragma once

#include <algorithm>
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

}  // namespace libmseal::supervisor
