// Before the first seal, a process adopts orphans. Its child makes that seal; the child's own child seals a
// page, and leaves one behind that is adopted. The page must be sealed for the adopted process.
#include <sys/prctl.h>

#include <atomic>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// In shared memory, not as an exit status: to wait for every child is to wait for the supervisor, too.
std::atomic<int>* g_outcome = nullptr;

// Seals the page, and leaves a child behind that is adopted.
void seal_and_leave(char* page, pid_t adopter) {
  const Victim victim(page, kPage);
  if (::fork() != 0) leave(kHeld);
  while (::getppid() != adopter) ::usleep(1000);
  *g_outcome = conclude(victim, "munmap by the adopted", raw_syscall(__NR_munmap, page, kPage));
  leave(kHeld);
}

int adopt(char* page) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const pid_t adopter = ::getpid();
  const pid_t first = ::fork();
  if (first == 0) {
    (void)Victim::page();  // the first seal of all
    const pid_t child = ::fork();
    if (child == 0) seal_and_leave(page, adopter);
    leave(outcome_of(child));
  }
  if (const int outcome = outcome_of(first); outcome != kHeld) return outcome;
  for (int moments = 0; *g_outcome < 0 && moments < 10'000; ++moments) ::usleep(1000);
  return *g_outcome >= 0 ? g_outcome->load() : kCannotTry;
}

}  // namespace

int main() {
  g_outcome = new (map_at(0, kPage, MAP_SHARED)) std::atomic<int>(-1);
  char* const page = map_at(0x3000'0000, kPage);  // decided by the supervisor
  std::memset(page, 'v', kPage);
  const pid_t adopter = ::fork();
  if (adopter == 0) leave(adopt(page));
  return outcome_of(adopter);
}
