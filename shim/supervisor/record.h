// What one memory has sealed, and in which order: its forks have what came before them.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "policy/rules/seal.h"
#include "policy/rules/verdict.h"
#include "shim/common/births.h"
#include "shim/common/table_size.h"

namespace libmseal::supervisor {

// One process. A later one with the same number differs, unless it was born in the same tick.
struct Process {
  pid_t id = 0;
  std::uint64_t start_time = 0;  // in ticks since boot

  bool operator==(const Process&) const = default;
  bool operator<(const Process& other) const {
    return id != other.id ? id < other.id : start_time < other.start_time;
  }
};

// A seal, and what shows which processes were born with it.
struct SealEntry {
  policy::Seal seal;
  bool filtered = false;      // a deny filter enforces it; else the supervisor alone
  std::uint32_t filters = 0;  // so many filters the process had then; 0: not known
  std::uint64_t made = 0;     // when, in ns since boot
  Process by{};               // who has sealed it; no process: the first filter refuses there, to everybody
};

// When a process was born, and how many filters it has at most from its parent.
struct Birth {
  std::uint64_t latest = ~0ULL;  // not after that, in ns since boot
  std::uint32_t filters = ~0U;

  // Whether such a process may have inherited the seal.
  [[nodiscard]] bool may_have(const SealEntry& entry) const {
    return entry.made <= latest && (!entry.filtered || entry.filters <= filters);
  }
};

// How many filters a process has.
struct FilterCount {
  Process process;
  std::uint32_t filters = ~0U;  // ~0: not known
};

class Record {
 public:
  [[nodiscard]] std::span<const policy::Seal> seals() const { return seals_; }
  [[nodiscard]] std::span<const SealEntry> entries() const { return entries_; }

  // Makes room for `count` more seals; false if there might be none. Throws std::bad_alloc.
  [[nodiscard]] bool make_room(std::size_t count) {
    const bool fits =
        seals_.size() + 3 * count + 3 <= shim::kMostSeals && entries_.size() + count <= shim::kMostSeals;
    if (fits) {
      grow(seals_, 3 * count + 3);
      grow(entries_, count);
    }
    return fits;
  }

  // False, and nothing added, when there is no room; the same if std::bad_alloc is thrown.
  bool add(const SealEntry& entry) {
    if (entries_.size() == shim::kMostSeals) return false;
    grow(entries_, 1);
    if (!policy::add_seal(seals_, entry.seal, shim::kMostSeals)) return false;
    entries_.push_back(entry);
    return true;
  }

  // Whether all of the range is sealed, with these types, by entries for which counts(entry) holds.
  template <class Counts>
  [[nodiscard]] bool covers(const policy::Range& range, policy::SealTypes types, Counts counts) const {
    return policy::coverage(seals_, range, types) == policy::Coverage::fully &&
           policy::coverage(counted(range, counts), range, types) == policy::Coverage::fully;
  }

  // The entries in the range for which counts(entry) holds, sorted and apart.
  template <class Counts>
  [[nodiscard]] std::vector<policy::Seal> counted(const policy::Range& range, Counts counts) const {
    std::vector<policy::Seal> counted;
    for (const SealEntry& entry : entries_) {
      if (entry.seal.range.touches(range) && counts(entry))
        (void)policy::add_seal(counted, entry.seal, shim::kMostSeals);
    }
    return counted;
  }

  // The entries that have been inherited already: records of one image have most of them in common.
  using Seen = std::set<std::tuple<std::uint64_t, std::uint64_t, bool, bool, policy::SealTypes, std::uint64_t,
                                   bool, std::uint32_t, std::uint64_t>>;

  // Adds what a process with this birth may have inherited of `other`. If there is no room for a seal, the
  // whole range from the first seal to the last is sealed: more, never less.
  void inherit(const Record& other, const Birth& birth, Seen& seen) {
    for (const SealEntry& entry : other.entries_) {
      if (!birth.may_have(entry)) continue;
      if (!seen.insert(key_of(entry)).second) continue;
      if (!add(entry)) widen(entry.seal);
    }
  }

  // Adds all of `other` that it has not.
  void merge(const Record& other) {
    Seen seen;
    for (const SealEntry& entry : entries_) seen.insert(key_of(entry));
    inherit(other, {}, seen);
  }

  // What a process has sealed is not what another with its number has sealed.
  void disown(const Process& process) {
    for (SealEntry& entry : entries_) {
      if (entry.by == process) entry.by = kNobody;
    }
  }

  // For audits, where the memory is gone all the same.
  void drop(const policy::Range& range) {
    std::vector<policy::Seal> left;
    for (const policy::Seal& seal : seals_) {
      const policy::Range before{seal.range.start, std::min(seal.range.end, range.start)};
      const policy::Range after{std::max(seal.range.start, range.end), seal.range.end};
      for (const policy::Range& part : {before, after}) {
        if (!part.empty()) left.push_back(seal.part(part));
      }
    }
    seals_ = std::move(left);
    std::erase_if(entries_, [&](const SealEntry& entry) { return range.contains(entry.seal.range); });
  }

  shim::Births alone_since;    // nobody else had the memory then
  bool was_alone = false;      // nobody else had it when that was last looked for
  shim::Births asked;          // when it last asked to seal something
  std::uint64_t prepared = 0;  // when it last asked to seal something, in ns since boot
  std::uint32_t filters = 0;   // so many filters the process had when one was last told of; 0: not known
  FilterCount asked_with;      // when it last said hello or asked to seal something
  FilterCount told_with;       // when one was last told of

 private:
  static constexpr Process kNobody{-1, 0};

  template <class T>
  static void grow(std::vector<T>& items, std::size_t by) {
    if (items.capacity() - items.size() < by)
      items.reserve(std::max(2 * items.capacity(), items.size() + by));
  }

  static Seen::key_type key_of(const SealEntry& entry) {
    const policy::Seal& seal = entry.seal;
    return {seal.range.start, seal.range.end, seal.discard_protected, seal.may_grow_down, seal.types,
            seal.attachment,  entry.filtered, entry.filters,          entry.made};
  }

  void widen(const policy::Seal& seal) {
    policy::Seal all = seal;
    for (const policy::Seal& one : seals_) all = all.joined_with(one, all.range);
    all.range = {std::min(seals_.front().range.start, seal.range.start),
                 std::max(seals_.back().range.end, seal.range.end)};
    seals_.assign({all});
    entries_.assign({SealEntry{all, false, 0, 0, kNobody}});
  }

  std::vector<SealEntry> entries_;
  std::vector<policy::Seal> seals_;  // the same, sorted and apart
};

}  // namespace libmseal::supervisor
