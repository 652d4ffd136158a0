// An end to waiting, by the clock: a nap lasts long on a busy or emulated machine.
#pragma once

#include <time.h>

#include <cstdint>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

class Deadline {
 public:
  explicit Deadline(std::uint64_t milliseconds) : end_(now() + milliseconds * 1'000'000) {}
  [[nodiscard]] bool passed() const { return now() >= end_; }

 private:
  static std::uint64_t now() {
    timespec time{};
    (void)raw_syscall(__NR_clock_gettime, CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
  }

  std::uint64_t end_;  // ns
};

}  // namespace libmseal::shim
