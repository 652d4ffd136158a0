// Takes the supervisor's open files away while it looks who is still there, and gives them back.
#include <sys/resource.h>

#include "tests/attacks/programs.h"
#include "tests/attacks/supervisor.h"

using namespace libmseal::tests;

int main(int, char** arguments) {
  const Victim text = Victim::text();
  const pid_t supervisor = supervisor_of(arguments[1]);
  const auto change_text = [&] {
    return raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  };
  if (supervisor == 0) return conclude(text, "mprotect without a supervisor", change_text());
  rlimit before{};
  if (::prlimit(supervisor, RLIMIT_NOFILE, nullptr, &before) != 0) cannot_try("prlimit");
  rlimit low = before;
  low.rlim_cur = 3;
  for (int count = 0; count < 150; ++count) {
    make_known();
    (void)::prlimit(supervisor, RLIMIT_NOFILE, &low, nullptr);
    (void)change_text();
    (void)::prlimit(supervisor, RLIMIT_NOFILE, &before, nullptr);
  }
  return conclude(text, "mprotect of the text", change_text());
}
