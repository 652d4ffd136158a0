#include "tests/support/run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace libmseal::tests {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void become(const Command& command, int out, int err) {
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  close(null);
  dup2(out, 1);
  dup2(err, 2);
  close_range(3, ~0U, 0);  // the program starts with what a shell gives it
  setpgid(0, 0);
  for (const auto& [name, value] : command.environment) setenv(name.c_str(), value.c_str(), 1);
  if (command.prepare) command.prepare();
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(126);
}

}  // namespace

Run run(const Command& command) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (pipe2(out.data(), 0) != 0 || pipe2(err.data(), 0) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("no process");
  if (child == 0) {
    close(out[0]);
    close(err[0]);
    become(command, out[1], err[1]);
  }
  close(out[1]);
  close(err[1]);

  Run result;
  const auto deadline = Clock::now() + std::chrono::seconds(command.timeout_s * patience());
  std::array<pollfd, 2> wanted{pollfd{out[0], POLLIN, 0}, pollfd{err[0], POLLIN, 0}};
  // To the end of both pipes: a helper that kept one open would show here as a time-out.
  while (wanted[0].fd >= 0 || wanted[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0 || poll(wanted.data(), wanted.size(), static_cast<int>(left)) == 0) {
      kill(-child, SIGKILL);
      waitpid(child, nullptr, 0);
      close(out[0]);
      close(err[0]);
      result.err += "\n(killed: it ran past its time)";
      return result;
    }
    for (pollfd& one : wanted) {
      if (one.fd < 0 || one.revents == 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t got = read(one.fd, buffer.data(), buffer.size());
      if (got <= 0) {
        one.fd = -1;
      } else {
        (one.fd == out[0] ? result.out : result.err).append(buffer.data(), static_cast<std::size_t>(got));
      }
    }
  }
  close(out[0]);
  close(err[0]);
  int status = 0;
  waitpid(child, &status, 0);
  result.exited = WIFEXITED(status);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

Command preloaded(const std::string& options, std::vector<std::string> arguments,
                  std::function<void()> prepare) {
  return {std::move(arguments),
          {{"LD_PRELOAD", LIBMSEAL_SO}, {"MSEAL_OPTIONS", options}},
          std::move(prepare),
          60};
}

}  // namespace libmseal::tests
