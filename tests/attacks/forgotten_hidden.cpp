// /proc hides processes that are not dumpable (hidepid=): the supervisor is made to forget a process that is,
// and one that it has never seen.
#include <sys/prctl.h>

#include <csignal>

#include "tests/attacks/programs.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

struct Shared {
  volatile bool hidden = false;
  volatile int rounds = 0;  // of a supervisor that has been made to forget
};
Shared* g_shared = nullptr;

[[noreturn]] void make_forget_until_end() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  while (!g_shared->hidden) ::usleep(1000);
  while (true) {
    for (int count = 0; count < 70; ++count) make_known();
    ::usleep(300'000);
    g_shared->rounds = g_shared->rounds + 1;
  }
}

}  // namespace

int main() {
  g_shared = reinterpret_cast<Shared*>(map_at(0, kPage, MAP_SHARED));
  const int helper = ::fork();
  if (helper == 0) make_forget_until_end();
  wait_for_next_tick();  // so that what follows is born later
  int worst = kHeld;
  const int parent = ::fork();
  if (parent != 0) {
    worst = outcome_of(parent);
    ::kill(helper, SIGKILL);
    return worst;
  }
  const Victim victim = Victim::supervised_page();
  ::prctl(PR_SET_DUMPABLE, 0);
  g_shared->hidden = true;
  const int born_hidden = ::fork();
  while (g_shared->rounds < 2) ::usleep(1000);
  const long answer = raw_syscall(__NR_mprotect, victim.at(), victim.size(), PROT_READ | PROT_WRITE);
  const bool held = answer != 0;
  std::printf("mprotect by the %s answered %ld\n", born_hidden == 0 ? "child" : "parent", answer);
  if (born_hidden == 0) leave(held ? kHeld : kBroken);
  leave(worse_of(held ? kHeld : kBroken, outcome_of(born_hidden)));
}
