// The seals of one memory, in the order in which they were made.
//
// Seals that memories have inherited from the same parents are stored once, in immutable layers: a fork that
// inherits the seals of its parent costs a pointer, and common seals are found without comparing each one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

#include "shim/common/no_copy.h"
#include "shim/supervisor/registry/seal_entry.h"

namespace libmseal::supervisor {

// Reserves room for `by` more items, with amortized cost.
template <class T>
void grow(std::vector<T>& items, std::size_t by) {
  if (items.capacity() - items.size() < by) items.reserve(std::max(2 * items.capacity(), items.size() + by));
}

class History {
  struct Layer;

 public:
  using Seen = std::unordered_set<const Layer*>;

  [[nodiscard]] std::size_t size() const { return own_.size() + (below_ == nullptr ? 0 : below_->size); }
  void make_room(std::size_t count) { grow(own_, count); }
  void add(const SealEntry& entry) { own_.push_back(entry); }

  template <class Visit>
  void for_each(Visit visit) const {
    Seen seen;
    for_each_unseen(seen, visit);
  }
  // Except those in a layer that was seen before.
  template <class Visit>
  void for_each_unseen(Seen& seen, Visit visit) const {
    std::vector<const Layer*> layers;
    for (const Layer* layer = below_.get(); layer != nullptr && seen.insert(layer).second;
         layer = layer->below.get())
      layers.push_back(layer);
    // NOLINTNEXTLINE(modernize-loop-convert): Clang 14 can't compile std::views::reverse of libstdc++ 12
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer)
      std::ranges::for_each((*layer)->added, visit);
    std::ranges::for_each(own_, visit);
  }
  template <class Is>
  [[nodiscard]] bool any(Is is_one) const {
    bool found = false;
    for_each([&](const SealEntry& entry) { found = found || is_one(entry); });
    return found;
  }

  // The longest beginning such that a process with this birth may have every seal. It is shared from now on.
  [[nodiscard]] History beginning(const Birth& birth) {
    if (!own_.empty()) {
      below_ = std::make_shared<Layer>(below_, std::move(own_));
      own_.clear();
    }
    History found;
    found.below_ = below_;
    while (found.below_ != nullptr && !found.below_->all_may_be_had(birth))
      found.below_ = found.below_->below;
    return found;
  }
  // Whether it is a shared beginning of the other.
  [[nodiscard]] bool begins(const History& other) const {
    return own_.empty() &&
           (below_ == nullptr || (other.below_ != nullptr && other.below_->root == below_.get()));
  }

  [[nodiscard]] bool is_same_as(const History& other) const {
    return own_.empty() && other.own_.empty() && below_ == other.below_;
  }

  // Calls change(entries). The result is not shared.
  template <class Change>
  void rewrite(Change change) {
    std::vector<SealEntry> all;
    all.reserve(size());
    for_each([&](const SealEntry& entry) { all.push_back(entry); });
    change(all);
    own_ = std::move(all);
    below_ = nullptr;
  }

 private:
  struct Layer : shim::NoCopy {
    Layer(const std::shared_ptr<Layer>& under, std::vector<SealEntry>&& entries)
        : below(under), added(std::move(entries)), root(this), size(added.size()) {
      if (below != nullptr) {
        root = below->root;
        size += below->size;
        latest = below->latest;
        filters = below->filters;
      }
      for (const SealEntry& entry : added) {
        latest = std::max(latest, entry.made);
        if (entry.filtered) filters = std::max(filters, entry.filters);
      }
    }
    // Not recursive, because there may be thousands.
    ~Layer() {
      while (below != nullptr && below.use_count() == 1) below = std::exchange(below->below, nullptr);
    }

    [[nodiscard]] bool all_may_be_had(const Birth& birth) const {
      return latest <= birth.latest && filters <= birth.filters;
    }

    std::shared_ptr<Layer> below;
    std::vector<SealEntry> added;
    // Together with all below:
    const Layer* root;
    std::size_t size;
    std::uint64_t latest = 0;   // when the last one was made
    std::uint32_t filters = 0;  // the highest `filters` of any that is filtered
  };

  std::shared_ptr<Layer> below_;
  std::vector<SealEntry> own_;  // above that
};

}  // namespace libmseal::supervisor
