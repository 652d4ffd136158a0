// Limits the time in which the supervisor inspects processes, and does not answer calls: a tenth of the time,
// and at most half a second at once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace libmseal::supervisor {

class InspectionBudget {
 public:
  // Times are in ns. 0: not known.
  [[nodiscard]] bool allows(std::uint64_t now) noexcept {
    if (now > seen_)
      left_ = std::min<std::int64_t>(kMost, left_ + static_cast<std::int64_t>((now - seen_) / kShare));
    seen_ = now;
    return left_ > 0;
  }
  void spend(std::uint64_t time) noexcept { left_ -= static_cast<std::int64_t>(time); }

 private:
  // To inspect a process with 65,000 mappings takes 30 ms.
  static constexpr std::int64_t kMost = 500'000'000;
  static constexpr std::uint64_t kShare = 10;

  std::uint64_t seen_ = 0;
  std::int64_t left_ = kMost;
};

}  // namespace libmseal::supervisor
