// The births of processes and threads, as the numbers they get tell of them.
#pragma once

#include <time.h>

#include <cstdint>

#include "shim/common/proc_root.h"

namespace libmseal::shim {

// Numbers are given in ascending order and start again at the end, in every pid namespace and those above it
// (kernel/pid.c, alloc_pid). Only clone3 with set_tid picks one, which a sealed process does not have.
struct Births {
  long last = 0;           // the number that was given last; 0: not known
  std::uint64_t time = 0;  // when that was so, in ns

  // Nobody was born in between. Numbers come around, but not in so short a time.
  [[nodiscard]] bool none_since(const Births& before) const {
    return last != 0 && last == before.last && soon_after(before);
  }
  // So soon that the numbers given in between are those from `before.last` to `last`, whatever the machine.
  // `most` is the number of births after which numbers come around.
  [[nodiscard]] bool soon_after(const Births& before, std::uint64_t most = kFewestNumbers) const {
    constexpr std::uint64_t kOneBirth = 600;  // no machine is faster
    return before.last != 0 && last != 0 && time - before.time < most * kOneBirth;
  }

  static constexpr std::uint64_t kFewestNumbers = 32768;  // kernel.pid_max, unless it was lowered
};

inline Births births_so_far(const ProcRoot& proc) {
  timespec now{};
  (void)raw_syscall(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
  Births births;
  births.time =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  char buffer[128];
  const long got = proc.read(ProcPath("loadavg"), buffer);
  if (got <= 0) return births;
  std::string_view text(buffer, static_cast<std::size_t>(got));
  const std::size_t last = text.rfind(' ');
  if (last == std::string_view::npos) return births;
  text.remove_prefix(last);
  births.last = leading_number(text);
  return births;
}

}  // namespace libmseal::shim
