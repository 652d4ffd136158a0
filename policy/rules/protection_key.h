// Protection keys (pkeys(7)): memory that a thread may write or not as its own register says.
#pragma once

#include <cstdint>
#include <span>

#include "policy/rules/range.h"

namespace libmseal::policy {

struct KeyedRange {
  Range range;
  std::uint32_t key = 0;
};

// Whether a thread with this PKRU register may write memory with this key: two bits a key, the lower one
// forbids all access, the upper one writing.
constexpr bool may_write(std::uint32_t pkru, std::uint32_t key) {
  return key < 16 && (pkru >> (2 * key) & 3U) == 0;
}

// Adds what none of `held` covers yet, which do not overlap. False if there is no room for it.
template <class Container>
bool add_keyed(Container& held, const KeyedRange& added) {
  Range rest = added.range;
  while (!rest.empty()) {
    Range free = rest;
    std::uint64_t next = rest.end;
    for (const KeyedRange& one : held.view()) {
      if (one.range.contains(free.start)) {
        free = {};
        next = one.range.end;
        break;
      }
      if (one.range.touches(free)) next = free.end = one.range.start;
    }
    if (!free.empty() && !held.push_back({free, added.key})) return false;
    rest.start = next;
  }
  return true;
}

// Whether all of `range` is held, with keys for which may(key) holds.
template <class May>
bool all_keyed(std::span<const KeyedRange> held, const Range& range, May may) {
  std::uint64_t covered = 0;
  for (const KeyedRange& one : held) {
    if (one.range.touches(range) && may(one.key)) covered += intersection(one.range, range).size();
  }
  return !range.empty() && covered == range.size();
}

}  // namespace libmseal::policy
