// Where a filter that was inherited through execve still refuses changes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "policy/rules/range.h"
#include "shim/supervisor/registry/ranges.h"

namespace libmseal::supervisor {

struct Fence {
  policy::Range range;
  std::uint32_t filters = 0;  // a process with this fence has at least this many filters; 0: not known
};

// A process that may have one of the parts may have the joined fence.
inline void join_touching(std::vector<Fence>& fences) {
  join_touching(fences, &Fence::range,
                [](Fence& one, const Fence& other) { one.filters = std::min(one.filters, other.filters); });
}

}  // namespace libmseal::supervisor
