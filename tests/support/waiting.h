// Waits for what another process or thread will do.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <fstream>
#include <string>

namespace libmseal::tests {

// Looks until it holds. The limit counts looks, not time: a slow machine is given more of it.
template <class Look>
bool eventually(Look holds) {
  for (int look = 0; look < 10'000; ++look) {
    if (holds()) return true;
    ::usleep(2000);
  }
  return false;
}

// Until processes that are created from now on have a later start time in /proc/PID/stat, which counts
// hundredths of a second.
inline void wait_for_next_tick() {
  const auto tick = [] {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * 100 + now.tv_nsec / 10'000'000;
  };
  const auto before = tick();
  while (tick() == before) ::usleep(500);
}

// The state of a process or thread, such as 'S' for one that sleeps; '?' if there is none. A first thread
// that has ended before others is a zombie, 'Z'.
inline char state_of(pid_t task) {
  std::string line;
  std::ifstream file("/proc/" + std::to_string(task) + "/stat");
  std::getline(file, line);
  const std::size_t command_ends = line.rfind(") ");
  return command_ends == std::string::npos ? '?' : line[command_ends + 2];
}

// To be called by another thread. The memory that the first thread shows in /proc is gone by then.
inline bool wait_until_first_thread_has_ended() {
  return eventually([] { return state_of(::getpid()) == 'Z'; });
}

// Until a thread of this process, once it has told its number, sleeps in this system call.
inline bool wait_until_in_call(const std::atomic<pid_t>& thread, long number) {
  return eventually([&] {
    long called = -1;
    std::ifstream("/proc/self/task/" + std::to_string(thread.load()) + "/syscall") >> called;
    return called == number;
  });
}

}  // namespace libmseal::tests
