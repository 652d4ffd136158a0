// What anybody has sealed.
#pragma once

#include <span>
#include <vector>

#include "policy/rules/seal.h"
#include "shim/common/table_size.h"

namespace libmseal::supervisor {

class AllSeals {
 public:
  // Sorted and apart; empty if that is too much to be kept.
  [[nodiscard]] std::span<const policy::Seal> seals() const {
    return fit_ ? std::span<const policy::Seal>(seals_) : std::span<const policy::Seal>();
  }
  void add(const policy::Seal& seal) { fit_ = fit_ && policy::add_seal(seals_, seal, shim::kMostSeals); }
  // Of a record that has run out of room, what it covers in vain is left out as long as all that it has
  // covered is here.
  void set(std::span<const policy::Seal> seals) {
    seals_.assign(seals.begin(), seals.end());
    fit_ = true;
  }

 private:
  std::vector<policy::Seal> seals_;
  bool fit_ = true;
};

}  // namespace libmseal::supervisor
