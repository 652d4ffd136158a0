// Threads that sleep, and all end at once. They make the list of threads long, which is no snapshot: if the
// thread at which getdents64 of /proc/PID/task has left off has ended, the kernel goes on by position
// (fs/proc/base.c, first_tid). Where as many threads have ended as it has returned, others are left out.
#pragma once

#include <linux/futex.h>

#include <climits>
#include <string>

#include "tests/attacks/sharer.h"
#include "tests/support/waiting.h"

namespace libmseal::tests {

// A number from the status of a thread of this process.
inline long number_in_status(const std::string& key, pid_t thread = ::getpid()) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stol(line.substr(key.size()));
  }
  return 0;
}

// Looks for two seconds, or longer on a slow machine.
template <class Look>
bool soon(Look holds) {
  bool holds_now = holds();
  for (int looks = 0; looks < 1000 && !holds_now; ++looks) {
    ::usleep(2000);
    holds_now = holds();
  }
  return holds_now;
}

// They make no system call when they end that the supervisor is notified of: it may be stopped.
class Crowd {
 public:
  explicit Crowd(int count) {
    constexpr std::size_t kStack = 16 * 1024;
    char* top = map_at(0, static_cast<std::size_t>(count) * kStack);
    for (int made = 0; made < count; ++made) {
      top += kStack;
      if (::clone(wait_for_end, top, kNextThread, this) < 0) cannot_try("many threads");
    }
  }
  // Returns when no more than `left` threads of the process are left.
  void end(long left) {
    ends_ = 1;
    (void)raw_syscall(__NR_futex, &ends_, FUTEX_WAKE, INT_MAX, 0, 0, 0);
    if (!eventually([&] { return number_in_status("Threads:") <= left; })) cannot_try("an end of threads");
  }

 private:
  static int wait_for_end(void* crowd) {
    auto* const ends = &static_cast<Crowd*>(crowd)->ends_;
    while (*ends == 0) (void)raw_syscall(__NR_futex, ends, FUTEX_WAIT, 0, 0, 0, 0);
    while (true) raw_syscall(__NR_exit, 0);
  }

  volatile int ends_ = 0;
};

}  // namespace libmseal::tests
