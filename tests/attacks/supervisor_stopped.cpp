// The supervisor is stopped: changes of the program's text are still refused, without delay.
#include <csignal>

#include "tests/attacks/attack.h"
#include "tests/support/supervisor.h"

using namespace libmseal::tests;

int main(int, char** arguments) {
  const Victim text = Victim::text();
  const pid_t supervisor = supervisor_of(arguments[1]);
  if (supervisor != 0 && ::kill(supervisor, SIGSTOP) != 0) cannot_try("kill");
  if (supervisor != 0) std::printf("the supervisor is stopped\n");
  std::fflush(stdout);
  const int child = ::fork();
  if (child == 0) {
    const long answer =
        raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
    std::printf("mprotect of the text answered %ld\n", answer);
    leave(answer == 0 ? kBroken : kHeld);
  }
  constexpr int kLong = 200;  // hundredths of a second
  bool ended = false;
  siginfo_t end{};
  for (int waited = 0; waited < kLong && !ended; ++waited) {
    ended = ::waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            end.si_pid == child;
    ::usleep(10'000);
  }
  if (!ended) {
    std::printf("mprotect has no answer after two seconds\n");
    ::kill(child, SIGKILL);
  }
  if (supervisor != 0) ::kill(supervisor, SIGCONT);
  const int outcome = outcome_of(child);
  return text.intact() ? outcome : kBroken;
}
