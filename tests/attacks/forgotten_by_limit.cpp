// Takes the supervisor's open files away while it looks who is still there, and gives them back.
#include <sys/resource.h>

#include "tests/attacks/programs.h"
#include "tests/support/supervisor.h"

using namespace libmseal::tests;

int main(int, char** arguments) {
  const Victim page = Victim::supervised_page();
  const pid_t supervisor = supervisor_of(arguments[1]);
  const auto change_page = [&] {
    return raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  };
  if (supervisor == 0) return conclude(page, "mprotect without a supervisor", change_page());
  rlimit before{};
  if (::prlimit(supervisor, RLIMIT_NOFILE, nullptr, &before) != 0) cannot_try("prlimit");
  rlimit low = before;
  low.rlim_cur = 3;
  long answer = -EPERM;
  for (int round = 0; round < 6 && answer != 0; ++round) {
    for (int count = 0; count < 80; ++count) make_known();
    // With nothing else to do, the supervisor looks who is still there.
    for (int times = 0; times < 200; ++times) {
      (void)::prlimit(supervisor, RLIMIT_NOFILE, &low, nullptr);
      ::usleep(500);
      (void)::prlimit(supervisor, RLIMIT_NOFILE, &before, nullptr);
      ::usleep(500);
    }
    answer = change_page();
  }
  return conclude(page, "mprotect of the page", answer);
}
