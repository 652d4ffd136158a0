// Sealed ranges, and functions on sorted lists of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal_types.h"

namespace libmseal::policy {

enum class DiscardRule : std::uint8_t {
  strict,  // private and not writable: anonymous memory and copied file pages (RELRO) alike
  kernel,  // private, not writable and anonymous: the rule of mseal(2)
};

// A sealed range, with the attributes of its mapping that a verdict needs. They can't change while the range
// is sealed, so they are looked up only once.
struct Seal {
  Range range;
  bool discard_protected = false;  // a discarding madvise is refused
  bool may_grow_down = false;      // private and anonymous: may be a stack, which PROT_GROWSDOWN reaches
  SealTypes types{};               // what it refuses; every seal has the base type
  // Where shmat(2) attached its System V segment, as shmdt(2) computes it: it may be any page, also page 0.
  static constexpr std::uint64_t kNotAttached = 1;             // it is not in a segment
  static constexpr std::uint64_t kSeveralAttachments = ~0ULL;  // of seals that were joined
  std::uint64_t attachment = kNotAttached;

  bool operator==(const Seal&) const = default;

  [[nodiscard]] bool same_attributes(const Seal& other) const {
    return discard_protected == other.discard_protected && may_grow_down == other.may_grow_down &&
           types == other.types && attachment == other.attachment;
  }
  // The attributes of the stricter of the two.
  [[nodiscard]] Seal joined_with(const Seal& other, const Range& part) const {
    return {part, discard_protected || other.discard_protected, may_grow_down || other.may_grow_down,
            types | other.types, joined_attachment(other)};
  }
  [[nodiscard]] std::uint64_t joined_attachment(const Seal& other) const {
    if (attachment == kNotAttached || attachment == other.attachment) return other.attachment;
    return other.attachment == kNotAttached ? attachment : kSeveralAttachments;
  }
  // Whether shmdt(address) may unmap some of it.
  [[nodiscard]] bool may_be_attached_at(std::uint64_t address) const {
    return attachment != kNotAttached && (attachment == address || attachment == kSeveralAttachments);
  }
  [[nodiscard]] Seal part(const Range& within) const {
    return {within, discard_protected, may_grow_down, types, attachment};
  }
  [[nodiscard]] bool has(SealTypes wanted) const { return types.has(wanted); }
};

// What the first filter refuses in the sealed area (preload/memory/sealed_area.h): its first half is for
// mappings with protected contents.
inline std::array<Seal, 2> seals_of_sealed_area(const Range& area) {
  const std::uint64_t middle = area.start + area.size() / 2;
  return {Seal{{area.start, middle}, true}, Seal{{middle, area.end}}};
}

// Every function below takes seals that are sorted by start and do not overlap.

inline const Seal* first_ending_after(std::span<const Seal> seals, std::uint64_t address) {
  return std::partition_point(seals.data(), seals.data() + seals.size(),
                              [address](const Seal& seal) { return seal.range.end <= address; });
}

// Calls visit(part, seal) for each part of `range` that is sealed, in order; visit returns false to stop.
template <class Visit>
void for_each_sealed_part(std::span<const Seal> seals, const Range& range, Visit visit) {
  const Seal* const end = seals.data() + seals.size();
  for (const Seal* seal = first_ending_after(seals, range.start); seal != end; ++seal) {
    if (seal->range.start >= range.end) return;
    if (!visit(intersection(seal->range, range), *seal)) return;
  }
}

// The same for each part of `range`, sealed or not: visit(part, is_sealed).
template <class Visit>
void for_each_part(std::span<const Seal> seals, const Range& range, Visit visit) {
  std::uint64_t next = range.start;
  bool goes_on = true;
  for_each_sealed_part(seals, range, [&](const Range& part, const Seal&) {
    goes_on = (part.start == next || visit(Range{next, part.start}, false)) && visit(part, true);
    next = part.end;
    return goes_on;
  });
  if (goes_on && next < range.end) visit(Range{next, range.end}, false);
}

// Whether any of `range` is sealed, counting only the seals for which counts(seal) holds.
template <class Counts>
bool touches_seal(std::span<const Seal> seals, const Range& range, Counts counts) {
  if (range.empty()) return false;
  bool touched = false;
  for_each_sealed_part(seals, range, [&](const Range&, const Seal& seal) {
    touched = counts(seal);
    return !touched;
  });
  return touched;
}

inline bool touches_seal(std::span<const Seal> seals, const Range& range) {
  return touches_seal(seals, range, [](const Seal&) { return true; });
}

inline bool touches_protected_contents(std::span<const Seal> seals, const Range& range) {
  return touches_seal(seals, range, [](const Seal& seal) { return seal.discard_protected; });
}

// Whether a part of `range` lacks one of these types and accepts no more types.
inline bool refuses_types(std::span<const Seal> seals, const Range& range, SealTypes types) {
  return touches_seal(seals, range,
                      [types](const Seal& seal) { return seal.has(kNoMoreTypes) && !seal.has(types); });
}

enum class Coverage : std::uint8_t { none, partly, fully };

// How much of `range` is sealed, counting only the seals for which counts(seal) holds.
template <class Counts>
Coverage coverage(std::span<const Seal> seals, const Range& range, Counts counts) {
  std::uint64_t covered = 0;
  for_each_sealed_part(seals, range, [&](const Range& part, const Seal& seal) {
    if (counts(seal)) covered += part.size();
    return true;
  });
  if (covered == 0) return Coverage::none;
  return covered == range.size() ? Coverage::fully : Coverage::partly;
}

inline Coverage coverage(std::span<const Seal> seals, const Range& range, SealTypes types = kBaseType) {
  return coverage(seals, range, [types](const Seal& seal) { return seal.has(types); });
}

// How a range is sealed.
struct Sealed {
  Coverage coverage = Coverage::none;
  SealTypes types = kNoType;  // those that every page has
};

inline Sealed how_sealed(std::span<const Seal> seals, const Range& range) {
  SealTypes types = kEveryType;
  for_each_sealed_part(seals, range, [&](const Range&, const Seal& seal) {
    types = types & seal.types;
    return true;
  });
  const Coverage covered = coverage(seals, range);
  return {covered, covered == Coverage::fully ? types : kNoType};
}

// Adds `seal` to `seals`, any contiguous container with insert and erase, and joins neighbours with equal
// attributes. Where two seals overlap, the result is at least as strict as both. False if the result might
// not fit into `capacity` entries. On failure and if std::bad_alloc is thrown, nothing is changed.
template <class Container>
bool add_seal(Container& seals, const Seal& seal, std::size_t capacity) {
  if (seal.range.empty()) return true;
  const auto at = [&](std::size_t index) { return seals.begin() + static_cast<std::ptrdiff_t>(index); };
  const std::span<const Seal> held(seals.data(), seals.size());
  const auto first = static_cast<std::size_t>(first_ending_after(held, seal.range.start) - held.data());
  std::size_t overlapped = 0;
  while (first + overlapped < held.size() && held[first + overlapped].range.start < seal.range.end)
    ++overlapped;
  const std::size_t needed = seals.size() + overlapped + 3;  // a gap after each, and a split at both ends
  if (needed > capacity) return false;
  if constexpr (requires { seals.reserve(needed); }) {  // first, because nothing below may throw
    if (needed > seals.capacity()) seals.reserve(std::max(needed, 2 * seals.capacity()));
  }

  std::size_t index = first;
  for (std::uint64_t next = seal.range.start; next < seal.range.end; ++index) {
    if (index == seals.size() || seals[index].range.start > next) {
      const std::uint64_t stop =
          index < seals.size() ? std::min(seals[index].range.start, seal.range.end) : seal.range.end;
      seals.insert(at(index), seal.part({next, stop}));
      next = stop;
      continue;
    }
    const Seal before = seals[index];
    const Seal both = before.joined_with(seal, intersection(before.range, seal.range));
    next = both.range.end;
    if (both.same_attributes(before)) continue;
    seals[index] = both;
    if (before.range.start < both.range.start) {
      seals.insert(at(index++), before.part({before.range.start, both.range.start}));
    }
    if (both.range.end < before.range.end) {
      seals.insert(at(index + 1), before.part({both.range.end, before.range.end}));
    }
  }
  for (std::size_t right = index < seals.size() ? index : seals.size() - 1; right > 0 && right >= first;
       --right) {
    Seal& left = seals[right - 1];
    const Seal& joined = seals[right];
    if (left.range.end != joined.range.start || !left.same_attributes(joined)) continue;
    left.range.end = joined.range.end;
    seals.erase(at(right));
  }
  return true;
}

}  // namespace libmseal::policy
