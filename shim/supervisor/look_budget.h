// How long may be looked at processes. No call is answered meanwhile, so looks take a tenth of the time at
// most, but for some at once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace libmseal::supervisor {

class LookBudget {
 public:
  // Times are in ns, of a clock that starts with the machine. It may be known to nobody: 0.
  [[nodiscard]] bool allows(std::uint64_t now) noexcept {
    if (now > seen_)
      left_ = std::min<std::int64_t>(kMost, left_ + static_cast<std::int64_t>((now - seen_) / kShare));
    seen_ = now;
    return left_ > 0;
  }
  void spend(std::uint64_t time) noexcept { left_ -= static_cast<std::int64_t>(time); }

 private:
  // A look at a process with 65,000 mappings takes 30 ms, one at 300 processes 5.
  static constexpr std::int64_t kMost = 500'000'000;
  static constexpr std::uint64_t kShare = 10;

  std::uint64_t seen_ = 0;
  std::int64_t left_ = kMost;
};

}  // namespace libmseal::supervisor
