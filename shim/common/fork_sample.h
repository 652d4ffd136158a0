// Detects whether processes or threads were created between two moments, by the IDs that they get and the
// kernel's count of forks ("processes" in /proc/stat), which includes threads.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "shim/common/clock.h"
#include "shim/common/proc_root.h"

namespace libmseal::shim {

// IDs ascend and wrap around, in every pid namespace (kernel/pid.c, alloc_pid). Only clone3 with set_tid can
// choose one, and that is blocked in sealed processes. A failed fork takes an ID, too. The count is increased
// when a new task becomes visible (kernel/fork.c, copy_process).
struct ForkSample {
  long last = 0;            // the ID that was given last; 0: not known
  std::uint64_t time = 0;   // in ns, before the ID was read; 0: not known
  std::uint64_t count = 0;  // forks since boot, in all namespaces; 0: not known
  std::uint64_t until = 0;  // in ns, after the ID was read; 0: not known

  // Whether no task has become visible since.
  [[nodiscard]] bool none_since(const ForkSample& before) const {
    if (count != 0 && count == before.count) return true;
    return last != 0 && last == before.last && soon_after(before);
  }
  // Whether so little time has passed that IDs can't have wrapped around, which takes `most` forks.
  [[nodiscard]] bool soon_after(const ForkSample& before, std::uint64_t most = kDefaultPidMax) const {
    constexpr std::uint64_t kOneFork = 600;  // ns; no machine is faster
    return before.last != 0 && last != 0 && before.time != 0 && time != 0 &&
           std::max(time, until) - before.time < most * kOneFork;
  }

  // Whether it is faster to check each new ID than every process.
  [[nodiscard]] bool few_since(const ForkSample& before, std::uint64_t most) const {
    constexpr long kFew = 4096;
    return soon_after(before, most) && last > before.last && last - before.last < kFew;
  }

  static constexpr std::uint64_t kDefaultPidMax = 32768;  // kernel.pid_max, unless it was lowered
};

// /proc/loadavg ends with the last ID.
inline long parse_last_pid(std::string_view loadavg) {
  const std::size_t last = loadavg.rfind(' ');
  return last == std::string_view::npos ? 0 : leading_number(loadavg.substr(last + 1));
}

// A line of /proc/stat is "processes COUNT".
inline std::uint64_t parse_fork_count(std::string_view stat) {
  constexpr std::string_view kName = "\nprocesses ";
  const std::size_t line = stat.find(kName);
  if (line == std::string_view::npos) return 0;
  stat.remove_prefix(line + kName.size());
  const std::size_t end = stat.find('\n');  // a truncated line does not count
  return end == std::string_view::npos ? 0 : static_cast<std::uint64_t>(leading_number(stat));
}

// The number of forks after which IDs wrap around.
inline std::uint64_t pid_max(const ProcRoot& proc) {
  char text[32];
  long got = proc.read(ProcPath("sys/kernel/pid_max"), text);
  // Container runtimes mount /proc/sys over itself, read-only. No other folder of a procfs has such a file.
  if (got == -EXDEV) got = ProcRoot("/proc/sys").read(ProcPath("kernel/pid_max"), text);
  if (got <= 0) return ForkSample::kDefaultPidMax;
  return static_cast<std::uint64_t>(leading_number({text, static_cast<std::size_t>(got)}));
}

// Without the count, which would take a second file.
inline ForkSample sample_forks(const ProcRoot& proc) {
  ForkSample forks;
  forks.time = monotonic_ns();
  char buffer[128];
  const long got = proc.read(ProcPath("loadavg"), buffer);
  forks.until = monotonic_ns();
  if (got > 0) forks.last = parse_last_pid({buffer, static_cast<std::size_t>(got)});
  return forks;
}

}  // namespace libmseal::shim
