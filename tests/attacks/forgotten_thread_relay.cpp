// A process whose first thread has ended, and whose other threads are a chain: each makes the next one and
// ends. None of those that the supervisor finds in /proc is still there when it reads their files.
#include "tests/attacks/programs.h"
#include "tests/attacks/sharer.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

constexpr int kRounds = 30;

struct Shared {
  volatile bool sealed = false;
  volatile int rounds = 0;  // of a supervisor that has been made to forget
};
Shared* g_shared = nullptr;
const Victim* g_victim = nullptr;
int g_tried = 0;

int relay(void*) {
  // While births never end, nothing is forgotten.
  libmseal::shim::nap(60'000);
  if (g_shared->rounds != g_tried) {
    g_tried = g_shared->rounds;
    const long answer =
        raw_syscall(__NR_mprotect, g_victim->at(), g_victim->size(), PROT_READ | PROT_WRITE | PROT_EXEC);
    if (answer == 0 || g_tried == kRounds) leave(conclude(*g_victim, "mprotect by the relay", answer));
  }
  make_next(relay, kNextThread);
  while (true) raw_syscall(__NR_exit, 0);
}

// Forked before the seal, so that nothing here brings it back.
[[noreturn]] void make_forget_until_end_of(int process) {
  while (!g_shared->sealed) ::usleep(1000);
  while (::getppid() == process) {
    for (int count = 0; count < 70; ++count) make_known();
    ::usleep(100'000);
    g_shared->rounds = g_shared->rounds + 1;
  }
  ::_exit(0);
}

}  // namespace

int main() {
  g_shared = reinterpret_cast<Shared*>(map_at(0, kPage, MAP_SHARED));
  const int process = ::getpid();
  if (::fork() == 0) make_forget_until_end_of(process);
  wait_for_next_tick();  // so that what follows is born later
  const Victim victim = Victim::supervised_page();
  g_victim = &victim;
  g_shared->sealed = true;
  make_next(relay, kNextThread);
  while (true) raw_syscall(__NR_exit, 0);
}
