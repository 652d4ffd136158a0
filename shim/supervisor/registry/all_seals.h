// The seals of all processes.
#pragma once

#include <span>
#include <vector>

#include "policy/rules/seal.h"
#include "shim/common/table_size.h"

namespace libmseal::supervisor {

class AllSeals {
 public:
  // Sorted and disjoint; empty if there are too many.
  [[nodiscard]] std::span<const policy::Seal> seals() const {
    return fit_ ? std::span<const policy::Seal>(seals_) : std::span<const policy::Seal>();
  }
  void add(const policy::Seal& seal) { fit_ = fit_ && policy::add_seal(seals_, seal, shim::kMostSeals); }
  // Replaces all seals. A record that has overflowed covers more than was sealed; the excess is only here
  // after set().
  void set(std::span<const policy::Seal> seals) {
    seals_.assign(seals.begin(), seals.end());
    fit_ = true;
  }

 private:
  std::vector<policy::Seal> seals_;
  bool fit_ = true;
};

}  // namespace libmseal::supervisor
