// Lists of ranges.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "policy/rules/range.h"

namespace libmseal::supervisor {

// Sorts the items by their ranges, joins those that touch, and removes empty ones. join_rest(item, other) is
// to join whatever else than a range an item has.
template <class Item, class RangeOf, class JoinRest>
void join_touching(std::vector<Item>& items, RangeOf range_of, JoinRest join_rest) {
  std::ranges::sort(items, {}, [&](const Item& item) { return std::invoke(range_of, item).start; });
  std::vector<Item> joined;
  for (const Item& item : items) {
    const policy::Range& range = std::invoke(range_of, item);
    if (!joined.empty() && range.start <= std::invoke(range_of, joined.back()).end) {
      policy::Range& last = std::invoke(range_of, joined.back());
      last.end = std::max(last.end, range.end);
      join_rest(joined.back(), item);
    } else if (!range.empty()) {
      joined.push_back(item);
    }
  }
  items = std::move(joined);
}

inline void join_touching(std::vector<policy::Range>& ranges) {
  join_touching(ranges, std::identity(), [](const policy::Range&, const policy::Range&) {});
}

}  // namespace libmseal::supervisor
