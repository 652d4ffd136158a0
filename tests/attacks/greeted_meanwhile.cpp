// While a thread seals ranges, another one greets the supervisor, as a program does that has just started.
#include <thread>

#include "policy/protocol/control.h"
#include "tests/attacks/sharer.h"
#include "tests/support/message.h"

using namespace libmseal::tests;
using libmseal::policy::Control;

namespace {

void join() {
  const long table = tell_supervisor(libmseal::policy::encode({Control::Kind::join, {}}));
  if (table >= 0) (void)raw_syscall(__NR_close, table);
}

// As a vfork child does, it lets mseal wait.
int share_for_a_moment(void*) {
  libmseal::shim::nap(400'000'000);
  while (true) raw_syscall(__NR_exit, 0);
}

}  // namespace

int main() {
  (void)Victim::page();  // the backend has started
  char* const memory = map_at(0, 4 * kPage);
  std::memset(memory, 'v', 4 * kPage);
  if (::clone(share_for_a_moment, stack_top<1>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  std::thread other([] {
    libmseal::shim::nap(150'000'000);
    join();
  });
  const mseal_range ranges[] = {{memory, kPage}, {memory + 2 * kPage, kPage}};
  const long sealed = ::mseal_ranges(ranges, 2, 0) == 0 ? 0 : -errno;
  other.join();
  if (sealed != 0) return nothing_promised(sealed);
  int outcome = kHeld;
  for (const mseal_range& one : ranges) {
    const Victim victim = Victim::sealed_already(static_cast<char*>(one.addr), one.len);
    outcome = worse_of(outcome, conclude(victim, "munmap", raw_syscall(__NR_munmap, one.addr, one.len)));
  }
  return outcome;
}
