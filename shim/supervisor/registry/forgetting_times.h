// When to forget what has ended. This is limited because a collection inspects every process.
#pragma once

#include <algorithm>
#include <cstddef>

#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {

class ForgettingTimes {
 public:
  // Counts a new image or member.
  void note_new(Proc& proc) {
    ++made_;
    if (made_ >= kShortOfFiles && proc.is_short_of_files()) made_ = std::max(made_, kEvery);
  }
  [[nodiscard]] bool is_due(bool idle) const { return made_ >= (idle ? kIdle : kEvery); }
  // After a failed attempt, the next one is delayed.
  void note_attempt() { made_ = kIdle / 2; }
  void note_success() { made_ = 0; }

 private:
  static constexpr std::size_t kEvery = 128;
  static constexpr std::size_t kIdle = 64;
  static constexpr std::size_t kShortOfFiles = 8;

  std::size_t made_ = 0;  // since the last collection
};

}  // namespace libmseal::supervisor
