// Takes the supervisor's open files away while it looks for processes that have ended, and gives them back.
#include <sys/prctl.h>
#include <sys/resource.h>

#include <csignal>
#include <vector>

#include "tests/attacks/programs.h"
#include "tests/support/supervisor.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

long change(const Victim& page) {
  return raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
}

// Seals a page when it has read a byte, and tries for each further one.
[[noreturn]] void own_a_page(int turn, int report) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  char first = 0;
  if (::read(turn, &first, 1) != 1) ::_exit(kCannotTry);
  const Victim page = Victim::supervised_page();
  for (long answer = -EPERM;; answer = change(page)) {
    char byte = 0;
    if (::write(report, &answer, sizeof answer) != static_cast<ssize_t>(sizeof answer)) ::_exit(kCannotTry);
    if (answer == 0 || ::read(turn, &byte, 1) != 1) leave(conclude(page, "mprotect of the page", answer));
  }
}

// The supervisor looks at them after the process with the page, whose number is lower: it has its files back
// before it asks for the list of processes again.
std::vector<int> fork_idle() {
  std::vector<int> idle;
  for (int count = 0; count < 300; ++count) {
    idle.push_back(::fork());
    if (idle.back() != 0) continue;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (true) ::pause();
  }
  return idle;
}

}  // namespace

int main(int, char** arguments) {
  const pid_t supervisor = supervisor_of(arguments[1]);
  if (supervisor == 0) {
    const Victim page = Victim::supervised_page();
    return conclude(page, "mprotect without a supervisor", change(page));
  }
  int turn[2];
  int report[2];
  rlimit before{};
  if (::pipe(turn) != 0 || ::pipe(report) != 0) cannot_try("pipe");
  if (::prlimit(supervisor, RLIMIT_NOFILE, nullptr, &before) != 0) cannot_try("prlimit");
  rlimit low = before;
  low.rlim_cur = 3;
  const int owner = ::fork();
  if (owner == 0) {
    ::close(turn[1]);
    own_a_page(turn[0], report[1]);
  }
  const std::vector<int> idle = fork_idle();
  wait_for_next_tick();  // they are older than the seal, and have not inherited it
  long answer = 0;
  if (::write(turn[1], "s", 1) != 1 ||
      ::read(report[0], &answer, sizeof answer) != static_cast<ssize_t>(sizeof answer))
    cannot_try("a seal");
  for (int round = 0; round < 6 && answer != 0; ++round) {
    for (int count = 0; count < 80; ++count) make_known();
    // With nothing else to do, the supervisor looks for processes that have ended.
    for (int times = 0; times < 200; ++times) {
      (void)::prlimit(supervisor, RLIMIT_NOFILE, &low, nullptr);
      ::usleep(500);
      (void)::prlimit(supervisor, RLIMIT_NOFILE, &before, nullptr);
      ::usleep(500);
    }
    if (::write(turn[1], "t", 1) != 1) break;
    if (::read(report[0], &answer, sizeof answer) != static_cast<ssize_t>(sizeof answer)) break;
  }
  for (const int one : idle) {
    if (one > 0) ::kill(one, SIGKILL);
  }
  ::close(turn[1]);
  return outcome_of(owner);
}
