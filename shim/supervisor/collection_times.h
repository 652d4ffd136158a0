// When it is time to forget what has ended: a collection takes a look at everybody.
#pragma once

#include <algorithm>
#include <cstddef>

#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {

class CollectionTimes {
 public:
  // An image or a member.
  void note_new(Proc& proc) {
    ++made_;
    if (made_ >= kShortOfFiles && proc.is_short_of_files()) made_ = std::max(made_, kEvery);
  }
  [[nodiscard]] bool is_due(bool idle) const { return made_ >= (idle ? kIdle : kEvery); }
  // Without a proof, the next attempt is not at once.
  void note_attempt() { made_ = kIdle / 2; }
  void note_success() { made_ = 0; }

 private:
  static constexpr std::size_t kEvery = 128;
  static constexpr std::size_t kIdle = 64;
  static constexpr std::size_t kShortOfFiles = 8;

  std::size_t made_ = 0;  // since the last
};

}  // namespace libmseal::supervisor
