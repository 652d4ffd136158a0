// The supervisor is killed, and then a process is created that shares the memory.
#include "tests/attacks/sharer.h"
#include "tests/support/supervisor.h"

using namespace libmseal::tests;

int main(int, char** arguments) {
  const pid_t supervisor = supervisor_of(arguments[1]);
  if (supervisor != 0 && !kill_supervisor(supervisor)) cannot_try("kill");
  if (supervisor != 0) std::printf("the supervisor is killed\n");
  const auto run = [](void*) -> int { share(); };
  if (::clone(run, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  return seal_beside_sharer();
}
