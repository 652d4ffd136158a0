// The supervisor is killed: changes of the program's text are still refused.
#include "tests/attacks/attack.h"
#include "tests/support/supervisor.h"

using namespace libmseal::tests;

int main(int, char** arguments) {
  const Victim text = Victim::text();
  const pid_t supervisor = supervisor_of(arguments[1]);
  if (supervisor != 0 && !kill_supervisor(supervisor)) cannot_try("kill");
  if (supervisor != 0) std::printf("the supervisor is killed; the text is at %p\n", text.at());
  const long answer = raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  return conclude(text, "mprotect of the text", answer);
}
