// Time, and waiting for it to pass.
#pragma once

#include <time.h>

#include <cstdint>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

inline std::uint64_t nanoseconds_in(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

inline std::uint64_t monotonic_ns() {
  timespec now{};
  (void)raw_syscall(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
  return nanoseconds_in(now);
}

// Less than a second.
inline void nap(long nanoseconds) {
  const timespec time{0, nanoseconds};
  (void)raw_syscall(__NR_nanosleep, &time, nullptr);
}

// An end to waiting, by the clock: a nap lasts long on a busy or emulated machine.
class Deadline {
 public:
  explicit Deadline(std::uint64_t milliseconds) : end_(monotonic_ns() + milliseconds * 1'000'000) {}
  [[nodiscard]] bool passed() const { return monotonic_ns() >= end_; }

 private:
  std::uint64_t end_;  // ns
};

}  // namespace libmseal::shim
