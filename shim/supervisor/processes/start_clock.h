// The clock of the start times in /proc/PID/stat.
#pragma once

#include <unistd.h>

#include <cstdint>

#include "shim/common/clock.h"
#include "shim/common/proc_root.h"

namespace libmseal::supervisor {

inline std::uint64_t nanoseconds_of_ticks(std::uint64_t ticks) {
  static const auto per_second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  return ticks * (1'000'000'000 / per_second);
}

class StartClock {
 public:
  explicit StartClock(const shim::ProcRoot& proc);

  // The time since boot in ns, or less if it is not known which clock the start times follow: then seals seem
  // older than they are, and too many processes seem to have inherited them, not too few.
  [[nodiscard]] std::uint64_t now() const {
    const std::uint64_t now = shim::nanoseconds_of(CLOCK_BOOTTIME);
    return now == 0 ? 0 : now - static_cast<std::uint64_t>(ahead_);
  }

 private:
  std::int64_t ahead_;  // CLOCK_BOOTTIME is, in ns
};

}  // namespace libmseal::supervisor
