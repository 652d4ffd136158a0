// Protection keys (pkeys(7)): a register of the thread says whether it may write memory with a key.
#pragma once

#include <cstdint>
#include <span>

#include "policy/rules/range.h"

namespace libmseal::policy {

struct KeyedRange {
  Range range;
  std::uint32_t key = 0;
};

// Whether a thread with this PKRU register may write memory with this key. Each key has two bits: the lower
// one forbids all access, the upper one forbids writing.
constexpr bool may_write(std::uint32_t pkru, std::uint32_t key) {
  return key < 16 && (pkru >> (2 * key) & 3U) == 0;
}

// Adds the parts that `held` does not cover yet. False if there is no room.
template <class Container>
bool add_keyed(Container& held, const KeyedRange& added) {
  return for_each_gap(
      added.range, held.view(),
      [&](const Range& gap) {
        return held.push_back({gap, added.key});
      },
      &KeyedRange::range);
}

// Whether `held` covers all of `range` with keys for which may(key) is true.
template <class May>
bool all_keyed(std::span<const KeyedRange> held, const Range& range, May may) {
  std::uint64_t covered = 0;
  for (const KeyedRange& one : held) {
    if (one.range.touches(range) && may(one.key)) covered += intersection(one.range, range).size();
  }
  return !range.empty() && covered == range.size();
}

}  // namespace libmseal::policy
