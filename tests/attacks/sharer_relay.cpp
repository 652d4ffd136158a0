// The memory is shared with short-lived processes: each makes the next one and ends. Then the same with the
// threads of one process whose first thread has ended.
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

constexpr int kProcess = CLONE_VM | CLONE_PARENT | SIGCHLD;

int g_kind = kProcess;
constexpr int kFirst = 100;  // so that births have been many

int relay(void*) {
  libmseal::shim::nap(50'000);
  if (g_generation > kFirst) g_sharer.runs = true;
  if (g_sharer.sealed) share();
  make_next(relay, g_kind);
  while (true) raw_syscall(__NR_exit, 0);
}

}  // namespace

int main() {
  ::signal(SIGCHLD, SIG_IGN);
  int worst = kHeld;
  for (const int kind : {kProcess, kNextThread}) {
    g_sharer.runs = false;
    g_sharer.sealed = false;
    g_sharer.done = false;
    g_kind = kind;
    g_generation = 0;
    make_next(relay, CLONE_VM | SIGCHLD);
    worst = worse_of(worst, seal_beside_sharer());
    while (!g_sharer.done) nap();  // else two relays run on the same stacks
  }
  return worst;
}
