// Half-open ranges of addresses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace libmseal::policy {

// [start, end) in bytes. A range that wraps around the address space has end <= start and is treated as
// empty: the kernel refuses every call that names one.
struct Range {
  std::uint64_t start = 0;
  std::uint64_t end = 0;

  static constexpr Range of(std::uint64_t start, std::uint64_t length) { return {start, start + length}; }

  [[nodiscard]] constexpr bool empty() const { return end <= start; }
  [[nodiscard]] constexpr std::uint64_t size() const { return empty() ? 0 : end - start; }
  [[nodiscard]] constexpr bool contains(std::uint64_t address) const {
    return start <= address && address < end;
  }
  [[nodiscard]] constexpr bool contains(const Range& other) const {
    return start <= other.start && other.end <= end;
  }
  [[nodiscard]] constexpr bool touches(const Range& other) const {
    return !empty() && !other.empty() && start < other.end && other.start < end;
  }
  constexpr bool operator==(const Range&) const = default;
};

constexpr Range intersection(const Range& a, const Range& b) {
  return {a.start > b.start ? a.start : b.start, a.end < b.end ? a.end : b.end};
}

template <class Ranges>
constexpr bool any_touches(const Ranges& ranges, const Range& range) {
  return std::ranges::any_of(ranges, [&](const Range& one) { return one.touches(range); });
}

// Whether one of them alone contains it.
template <class Ranges>
constexpr bool any_contains(const Ranges& ranges, const Range& range) {
  return std::ranges::any_of(ranges, [&](const Range& one) { return one.contains(range); });
}

// Calls visit(part) for each part of `range` that none of the holes covers, in order. The holes may be in any
// order and overlap. visit returns false to stop; the result is then false, too.
template <class Holes, class Visit, class RangeOf = std::identity>
constexpr bool for_each_gap(const Range& range, const Holes& holes, Visit visit, RangeOf range_of = {}) {
  for (Range rest = range; !rest.empty();) {
    Range gap = rest;
    std::uint64_t next = rest.end;
    for (const auto& item : holes) {
      const Range& hole = std::invoke(range_of, item);
      if (hole.contains(gap.start)) {
        gap = {};
        next = hole.end;
        break;
      }
      if (hole.touches(gap)) next = gap.end = hole.start;
    }
    if (!gap.empty() && !visit(gap)) return false;
    rest.start = next;
  }
  return true;
}

// Inserts a range that touches none in the sorted list. False if there is no room.
template <class Ranges>
bool insert_range(Ranges& ranges, const Range& range) {
  if (range.empty()) return true;
  if (ranges.full()) return false;
  ranges.insert(std::ranges::upper_bound(ranges, range.start, {}, &Range::start), range);
  return true;
}

// For sorting by it.
inline constexpr auto start_of = [](const auto& item) { return item.range.start; };

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t alignment) {
  return value & ~(alignment - 1);
}

// Wraps to 0 where the kernel's PAGE_ALIGN does.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  return round_down(value + alignment - 1, alignment);
}

// All pages that the bytes touch.
constexpr Range pages_of(std::uint64_t start, std::uint64_t length, std::uint64_t page_size) {
  return {round_down(start, page_size), round_up(start + length, page_size)};
}

}  // namespace libmseal::policy
