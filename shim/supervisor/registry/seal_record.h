// The seals of one memory, in order: a fork inherits those that were made before it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "policy/rules/seal.h"
#include "shim/common/fork_sample.h"
#include "shim/common/table_size.h"
#include "shim/supervisor/registry/history.h"
#include "shim/supervisor/registry/seal_entry.h"

namespace libmseal::supervisor {

// How many filters a process had.
struct FilterCount {
  Process process;
  std::uint32_t filters = ~0U;  // ~0: not known

  // If not known, 0: then every later child has a seal that is dated so.
  [[nodiscard]] std::uint32_t at_least() const { return filters != ~0U ? filters : 0; }
};

// The same at two moments.
struct FilterCounts {
  FilterCount at_request;  // when it last joined, or was asked to install a filter
  FilterCount at_report;   // when it last reported a new filter
};

// When a process did not share its memory.
struct Alone {
  Process process;
  shim::ForkSample since;  // the last moment when that was certain
  bool still = false;      // the result of the last search for sharers
};

class SealRecord {
 public:
  [[nodiscard]] std::span<const policy::Seal> seals() const { return *seals_; }
  [[nodiscard]] const History& entries() const { return entries_; }

  // Makes room for `count` more seals; false if they might not fit. Throws std::bad_alloc.
  [[nodiscard]] bool make_room(std::size_t count) {
    const bool fits =
        seals_->size() + 3 * count + 3 <= shim::kMostSeals && entries_.size() + count <= shim::kMostSeals;
    if (fits) {
      grow(unshared_seals(), 3 * count + 3);
      entries_.make_room(count);
    }
    return fits;
  }

  // False if there is no room. Then, and if std::bad_alloc is thrown, nothing is added.
  bool add(const SealEntry& entry) {
    if (entries_.size() == shim::kMostSeals) return false;
    entries_.make_room(1);
    if (!policy::add_seal(unshared_seals(), entry.seal, shim::kMostSeals)) return false;
    entries_.add(entry);
    return true;
  }

  // Whether entries of the same process that are at least as strict cover it already.
  [[nodiscard]] bool has(const SealEntry& wanted) const {
    return covers(wanted.seal.range, wanted.seal.types, [&](const SealEntry& entry) {
      return entry.by == wanted.by && entry.filtered == wanted.filtered &&
             entry.seal.joined_with(wanted.seal, entry.seal.range) == entry.seal;
    });
  }

  // Whether all of the range is sealed, with these types, by entries for which counts(entry) holds.
  template <class Counts>
  [[nodiscard]] bool covers(const policy::Range& range, policy::SealTypes types, Counts counts) const {
    return policy::coverage(*seals_, range, types) == policy::Coverage::fully &&
           policy::coverage(counted(range, counts), range, types) == policy::Coverage::fully;
  }

  // The entries in the range for which counts(entry) is true, sorted and disjoint.
  template <class Counts>
  [[nodiscard]] std::vector<policy::Seal> counted(const policy::Range& range, Counts counts) const {
    std::vector<policy::Seal> counted;
    entries_.for_each([&](const SealEntry& entry) {
      if (entry.seal.range.touches(range) && counts(entry))
        (void)policy::add_seal(counted, entry.seal, shim::kMostSeals);
    });
    return counted;
  }

  // Adds what a process with this birth may have inherited from the others. If there is no room for a seal,
  // the whole range from the first seal to the last is treated as sealed: too much rather than too little.
  void inherit(std::span<SealRecord* const> others, const Birth& birth) {
    start_from(others, birth);
    const auto is_known = [&](const SealRecord* other) { return entries_.is_same_as(other->entries_); };
    if (std::ranges::all_of(others, is_known)) return;
    History::Seen seen;
    entries_.for_each_unseen(seen, [](const SealEntry&) {});
    std::set<const SealEntry*, ByContent> missing;
    for (const SealRecord* const other : others) {
      other->entries_.for_each_unseen(seen, [&](const SealEntry& entry) {
        if (birth.may_have(entry)) missing.insert(&entry);
      });
    }
    if (missing.empty()) return;
    entries_.for_each([&](const SealEntry& entry) { missing.erase(&entry); });
    for (const SealEntry* const entry : missing) {
      if (!add(*entry)) widen(entry->seal);
    }
  }

  // Adds all entries of `other` that are missing.
  void merge(SealRecord& other) {
    SealRecord* const one = &other;
    inherit({&one, 1}, {});
  }

  // The seals of the process no longer belong to any process, because another one now has its ID.
  void disown(const Process& process) {
    if (!entries_.any([&](const SealEntry& entry) { return entry.by == process; })) return;
    entries_.rewrite([&](std::vector<SealEntry>& entries) {
      for (SealEntry& entry : entries) {
        if (entry.by == process) entry.by = kNobody;
      }
    });
  }

  // For audits, in which the call has changed the memory.
  void drop(const policy::Range& range) {
    std::vector<policy::Seal> left;
    for (const policy::Seal& seal : *seals_) {
      const policy::Range before{seal.range.start, std::min(seal.range.end, range.start)};
      const policy::Range after{std::max(seal.range.start, range.end), seal.range.end};
      for (const policy::Range& part : {before, after}) {
        if (!part.empty()) left.push_back(seal.part(part));
      }
    }
    seals_ = std::make_shared<std::vector<policy::Seal>>(std::move(left));
    const auto dropped = [&](const SealEntry& entry) { return range.contains(entry.seal.range); };
    if (entries_.any(dropped))
      entries_.rewrite([&](std::vector<SealEntry>& entries) { std::erase_if(entries, dropped); });
  }

  // Until its first request after it has joined, an image has the same memory and the same filters.
  [[nodiscard]] bool has_only_joined() const { return requested == 0; }

  Alone alone;                  // for one of the processes that share the memory; not valid for the others
  std::uint64_t requested = 0;  // when one of them last asked to seal something, in ns since boot
  FilterCounts filters;

 private:
  static constexpr Process kNobody{-1, 0};

  struct ByContent {
    bool operator()(const SealEntry* one, const SealEntry* other) const {
      return one->content() < other->content();
    }
  };

  // If this record is a beginning of other records, replaces it by the longest beginning that the birth
  // allows, and shares the seals of that record if it is the whole record.
  void start_from(std::span<SealRecord* const> others, const Birth& birth) {
    const SealRecord* parent = nullptr;
    History beginning = entries_;
    for (SealRecord* const other : others) {
      History theirs = other->entries_.beginning(birth);
      if (theirs.size() <= beginning.size() || !entries_.begins(theirs)) continue;
      parent = other;
      beginning = std::move(theirs);
    }
    if (parent == nullptr) return;
    auto seals = parent->seals_;
    if (beginning.size() != parent->entries_.size()) {
      seals = std::make_shared<std::vector<policy::Seal>>();
      bool fit = true;
      beginning.for_each([&](const SealEntry& entry) {
        fit = fit && policy::add_seal(*seals, entry.seal, shim::kMostSeals);
      });
      if (!fit) return;
    }
    entries_ = std::move(beginning);
    seals_ = std::move(seals);
  }

  std::vector<policy::Seal>& unshared_seals() {
    if (seals_.use_count() != 1) seals_ = std::make_shared<std::vector<policy::Seal>>(*seals_);
    return *seals_;
  }

  void widen(const policy::Seal& seal) {
    policy::Seal all = seal;
    for (const policy::Seal& one : *seals_) {
      const policy::Range range{std::min(all.range.start, one.range.start),
                                std::max(all.range.end, one.range.end)};
      all = all.joined_with(one, range);
    }
    auto seals = std::make_shared<std::vector<policy::Seal>>(1, all);
    entries_.rewrite([&](std::vector<SealEntry>& entries) { entries.assign({{all, false, 0, 0, kNobody}}); });
    seals_ = std::move(seals);
  }

  History entries_;
  // The same, sorted and disjoint. Shared with other records that have the same seals.
  std::shared_ptr<std::vector<policy::Seal>> seals_ = std::make_shared<std::vector<policy::Seal>>();
};

}  // namespace libmseal::supervisor
