// The seals of one memory, where every call is reported and each memory has its own.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "policy/seal.h"
#include "shim/common/seal_table.h"

namespace libmseal::supervisor {

// Copies share what they hold until one of them changes: forks are many, and few of them seal.
class SealSet {
 public:
  [[nodiscard]] std::span<const policy::Seal> view() const {
    return seals_ ? std::span<const policy::Seal>(*seals_) : std::span<const policy::Seal>{};
  }

  // False, and nothing added, when there is no room.
  bool add(const policy::Seal& seal) {
    if (!seals_) {
      seals_ = std::make_shared<std::vector<policy::Seal>>();
    } else if (seals_.use_count() > 1) {
      seals_ = std::make_shared<std::vector<policy::Seal>>(*seals_);
    }
    return policy::add_seal(*seals_, seal, shim::kMostSeals);
  }

  // For audits, where the memory is gone all the same.
  void drop(const policy::Range& range) {
    std::vector<policy::Seal> left;
    for (const policy::Seal& seal : view()) {
      const policy::Range before{seal.range.start, std::min(seal.range.end, range.start)};
      const policy::Range after{std::max(seal.range.start, range.end), seal.range.end};
      for (const policy::Range& part : {before, after}) {
        if (!part.empty()) left.push_back({part, seal.keeps_contents, seal.owner});
      }
    }
    seals_ = std::make_shared<std::vector<policy::Seal>>(std::move(left));
  }

  // What either holds. What finds no room is sealed together with all that lies between: more, never less.
  void join(const SealSet& other) {
    for (const policy::Seal& seal : other.view()) {
      if (!add(seal)) (void)add({{seals_->front().range.start, seal.range.end}, true, 0});
    }
    reaches_heap = reaches_heap || other.reaches_heap;
  }

  bool reaches_heap = false;  // so that brk has to be looked at

 private:
  std::shared_ptr<std::vector<policy::Seal>> seals_;
};

}  // namespace libmseal::supervisor
