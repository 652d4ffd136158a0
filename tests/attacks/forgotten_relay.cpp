// A chain of processes: each makes the next one and ends, so that none of those which the supervisor finds in
// /proc is still there when it reads their files.
#include <poll.h>
#include <sys/prctl.h>

#include <csignal>
#include <vector>

#include "shim/common/clock.h"
#include "tests/attacks/programs.h"

using namespace libmseal::tests;

namespace {

// In the first image: goes on as one short-lived process after the other, and tries now and then.
[[noreturn]] void relay(const Victim& victim, int report) {
  constexpr std::uint64_t kBetweenTries = 100;  // ms
  const libmseal::shim::Deadline end(15'000);
  libmseal::shim::Deadline next_try(kBetweenTries);
  while (true) {
    if (next_try.passed()) {
      next_try = libmseal::shim::Deadline(kBetweenTries);
      const long answer =
          raw_syscall(__NR_mprotect, victim.at(), victim.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
      if (answer == 0 || end.passed()) {
        raw_syscall(__NR_write, report, &answer, sizeof answer);
        ::_exit(0);
      }
    }
    const long child = raw_syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (child != 0) ::_exit(0);
  }
}

// The other image: starts programs, so that the supervisor has something to collect, until the relay reports.
int watch(int report) {
  // What a look at every process passes before it comes to the relay, whose numbers are higher.
  constexpr int kIdle = 400;
  std::vector<int> idle;
  for (int count = 0; count < kIdle; ++count) {
    idle.push_back(::fork());
    if (idle.back() == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
      while (true) ::pause();
    }
  }
  long answer = -EPERM;
  pollfd wanted{report, POLLIN, 0};
  while (::poll(&wanted, 1, 0) == 0) {
    for (int count = 0; count < 10; ++count) run_program();
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
  for (const int one : idle) {
    if (one > 0) ::kill(one, SIGKILL);
  }
  if (::read(report, &answer, sizeof answer) != static_cast<ssize_t>(sizeof answer))
    cannot_try("the relay has ended");
  std::printf("mprotect of the relay's page answered %ld; the victim is %s\n", answer,
              answer == 0 ? "CHANGED" : "unharmed");
  return answer == 0 ? kBroken : kHeld;
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 2) return watch(std::atoi(arguments[2]));
  const Victim victim = Victim::supervised_page();
  int ends[2];
  if (::pipe(ends) != 0) cannot_try("pipe");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (::fork() == 0) relay(victim, ends[1]);
  ::close(ends[1]);
  const std::string end = std::to_string(ends[0]);
  ::execl("/proc/self/exe", arguments[0], "", end.c_str(), nullptr);
  cannot_try("exec");
}
