// A seal, with the data that shows which processes may have inherited it.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <tuple>

#include "policy/rules/seal.h"

namespace libmseal::supervisor {

// Identifies a process. A later one with the same ID differs, unless it was created in the same tick.
struct Process {
  pid_t id = 0;
  std::uint64_t start_time = 0;  // in ticks since boot

  auto operator<=>(const Process&) const = default;
};

struct SealEntry {
  policy::Seal seal;
  bool filtered = false;      // a deny filter enforces it; otherwise only the supervisor
  std::uint32_t filters = 0;  // the number of filters that the process had then; 0: not known
  std::uint64_t made = 0;     // when, in ns since boot
  Process by{};               // the process that made it; none: the first filter refuses there

  // All members except `by`.
  [[nodiscard]] auto content() const {
    return std::tuple(seal.range.start, seal.range.end, seal.discard_protected, seal.may_grow_down,
                      seal.types, seal.attachment, filtered, filters, made);
  }
};

// When a process was created, and how many filters it can have inherited at most.
struct Birth {
  std::uint64_t latest = ~0ULL;  // the latest possible time, in ns since boot
  std::uint32_t filters = ~0U;

  // Whether a process with this birth may have inherited the seal.
  [[nodiscard]] bool may_have(const SealEntry& entry) const {
    return entry.made <= latest && (!entry.filtered || entry.filters <= filters);
  }
};

}  // namespace libmseal::supervisor
