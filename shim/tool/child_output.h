// Runs code in a child process, and takes its output.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

namespace libmseal::tool {

struct ChildOutput {
  int status = -1;  // exit status; 128 + signal
  std::string said;
};

// Calls become(out) in a child. It must not return, and its output is what it writes to the descriptor `out`.
// A child that prints nothing for `patience` ms is killed.
template <class Become>
ChildOutput output_of_child(Become become, int patience = -1) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {-1, std::strerror(errno)};
  const pid_t child = fork();
  if (child == 0) become(ends[1]);
  ChildOutput output;
  if (child < 0) output.said = std::strerror(errno);
  close(ends[1]);
  std::array<char, 1024> buffer{};
  pollfd wanted{ends[0], POLLIN, 0};
  while (child > 0) {
    const int ready = poll(&wanted, 1, patience);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      output.said += "does not end";
      kill(child, SIGKILL);
      break;
    }
    const ssize_t got = ready < 0 ? 0 : read(ends[0], buffer.data(), buffer.size());
    if (got <= 0) break;
    output.said.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  if (child > 0 && waitpid(child, &status, 0) == child)
    output.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  while (!output.said.empty() && output.said.back() == '\n') output.said.pop_back();
  return output;
}

// Replaces this process by the program, as execvp(3) does. Returns only if that fails, with errno set.
inline void execute(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
}

// In such a child: directs the descriptor to /dev/null.
inline void silence(int descriptor) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) dup2(null, descriptor);
}

}  // namespace libmseal::tool
