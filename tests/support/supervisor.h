// Finds the supervisor's PID, for tests that act on it.
#pragma once

#include <poll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>

namespace libmseal::tests {

// Its pid stands in its log; 0 if there is none.
inline pid_t supervisor_of(const char* log) {
  std::ifstream file(log);
  const std::string key = "[info] supervisor ";
  for (std::string line; std::getline(file, line);) {
    const std::size_t at = line.find(key);
    if (at != std::string::npos) return static_cast<pid_t>(std::stol(line.substr(at + key.size())));
  }
  return 0;
}

// Kills it and waits until it has ended: its listener is closed by then. False if it can't be killed.
inline bool kill_supervisor(pid_t supervisor) {
  const auto process = static_cast<int>(::syscall(__NR_pidfd_open, supervisor, 0));
  if (process < 0) return false;
  pollfd ended{process, POLLIN, 0};
  const bool killed = ::kill(supervisor, SIGKILL) == 0 && ::poll(&ended, 1, 30'000) == 1;
  ::close(process);
  return killed;
}

}  // namespace libmseal::tests
