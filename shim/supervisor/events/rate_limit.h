// Limits how often something is done: so many times at once, and 50 times per second.
#pragma once

#include <algorithm>
#include <cstdint>

#include "shim/common/clock.h"

namespace libmseal::supervisor {

class RateLimit {
 public:
  explicit RateLimit(double at_once) : at_once_(at_once) {}

  // Whether it may be done once more.
  [[nodiscard]] bool admits() noexcept {
    constexpr double kPerNanosecond = 50 / 1e9;
    const std::uint64_t now = shim::monotonic_ns();
    if (now > counted_)
      left_ = std::min(at_once_, left_ + static_cast<double>(now - counted_) * kPerNanosecond);
    counted_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  double at_once_;
  double left_ = at_once_;
  std::uint64_t counted_ = 0;  // in ns; 0: not known
};

}  // namespace libmseal::supervisor
