// A seal, and what tells which processes were born with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <tuple>

#include "policy/rules/seal.h"

namespace libmseal::supervisor {

// One process, told apart from a later one with the same number, unless that was born in the same tick.
struct Process {
  pid_t id = 0;
  std::uint64_t start_time = 0;  // in ticks since boot

  bool operator==(const Process&) const = default;
  bool operator<(const Process& other) const {
    return id != other.id ? id < other.id : start_time < other.start_time;
  }
};

struct SealEntry {
  policy::Seal seal;
  bool filtered = false;      // a deny filter enforces it; else the supervisor alone
  std::uint32_t filters = 0;  // so many filters the process had then; 0: not known
  std::uint64_t made = 0;     // when, in ns since boot
  Process by{};               // who has sealed it; no process: the first filter refuses there, to everybody
  bool told = false;          // with attributes that the process told, and nobody has looked up

  // All but who has sealed it.
  [[nodiscard]] auto content() const {
    return std::tuple(seal.range.start, seal.range.end, seal.discard_protected, seal.may_grow_down,
                      seal.types, seal.attachment, filtered, filters, made);
  }
};

// When a process was born, and how many filters it has at most from its parent.
struct Birth {
  std::uint64_t latest = ~0ULL;  // not after that, in ns since boot
  std::uint32_t filters = ~0U;

  // Whether a process born so may have the seal from a parent that has it.
  [[nodiscard]] bool may_have(const SealEntry& entry) const {
    return entry.made <= latest && (!entry.filtered || entry.filters <= filters);
  }
};

}  // namespace libmseal::supervisor
