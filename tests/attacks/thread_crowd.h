// Threads that sleep, and all end at once. They make the list of threads long, which is no snapshot: if the
// thread at which getdents64 of /proc/PID/task has left off has ended, the kernel goes on by position
// (fs/proc/base.c, first_tid). Where as many threads have ended as it has returned, others are left out.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/attacks/attack.h"
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

class Crowd {
 public:
  explicit Crowd(int count) {
    for (int made = 0; made < count; ++made) threads_.emplace_back([this] { ends_.wait(false); });
  }
  ~Crowd() {
    for (std::thread& thread : threads_) thread.join();
  }
  // Returns when no more than `left` threads of the process are left.
  void end(long left) {
    ends_ = true;
    ends_.notify_all();
    if (!eventually([&] { return number_in_status("Threads:") <= left; })) cannot_try("an end of threads");
  }

 private:
  std::atomic<bool> ends_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace libmseal::tests
