// A process made by clone(CLONE_VM) shares the memory and not the filters of later seals.
#include <sched.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

volatile bool g_sealed = false;
volatile long g_answer = 0;
char* volatile g_page = nullptr;

int sibling(void*) {
  while (!g_sealed) raw_syscall(__NR_sched_yield);
  g_answer = raw_syscall(__NR_munmap, g_page, kPage);
  raw_syscall(__NR_exit, 0);
  return 0;
}

}  // namespace

int main() {
  const Victim text = Victim::text();
  g_page = map_at(0, kPage);
  static char stack[kLargestPage];
  const int child = ::clone(sibling, stack + sizeof stack, CLONE_VM | SIGCHLD, nullptr);
  if (child < 0) return conclude(text, "clone(CLONE_VM)", -errno);
  const long sealed = seal(g_page, kPage);
  g_sealed = true;
  ::waitpid(child, nullptr, 0);
  if (sealed != 0) return nothing_promised(sealed);
  std::printf("sealed; munmap by the sibling answered %ld\n", g_answer);
  return g_answer == 0 ? kBroken : kHeld;
}
