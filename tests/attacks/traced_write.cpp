// A child attaches to its parent by ptrace and pokes through the protection.
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const int child = ::fork();
  if (child == 0) {
    const int parent = ::getppid();
    if (::ptrace(PTRACE_SEIZE, parent, nullptr, nullptr) != 0) ::_exit(1);
    ::ptrace(PTRACE_INTERRUPT, parent, nullptr, nullptr);
    ::waitpid(parent, nullptr, __WALL);
    ::ptrace(PTRACE_POKEDATA, parent, victim.at(), 0x7878L);
    ::ptrace(PTRACE_DETACH, parent, nullptr, nullptr);
    ::_exit(0);
  }
  return conclude(victim, "ptrace by a child", -outcome_of(child));
}
