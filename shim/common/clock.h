// Clocks, sleeping and deadlines.
#pragma once

#include <time.h>

#include <cstdint>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// The current time in ns; 0 if it is not known. By system call, because the program may define its own
// clock_gettime. If a filter refuses that call, by libc, which uses the vDSO.
inline std::uint64_t nanoseconds_of(clockid_t clock) {
  timespec now{};
  const bool told = raw_syscall(__NR_clock_gettime, clock, &now) == 0 || clock_gettime(clock, &now) == 0;
  if (!told) return 0;
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::uint64_t monotonic_ns() {
  return nanoseconds_of(CLOCK_MONOTONIC);
}

// Less than a second.
inline void nap(long nanoseconds) {
  const timespec time{0, nanoseconds};
  (void)raw_syscall(__NR_nanosleep, &time, nullptr);
}

// A deadline by the clock, because a nap may take long on a busy or emulated machine. Without a clock it has
// always passed.
class Deadline {
 public:
  explicit Deadline(std::uint64_t milliseconds) : end_(monotonic_ns() + milliseconds * 1'000'000) {}
  [[nodiscard]] bool passed() const {
    const std::uint64_t now = monotonic_ns();
    return now == 0 || now >= end_;
  }

 private:
  std::uint64_t end_;  // ns
};

}  // namespace libmseal::shim
