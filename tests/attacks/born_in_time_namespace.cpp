// A child in a time namespace in which the machine seems to have started earlier. On some kernels the times
// at which processes were created do not show that, so the child seems older than its parent's seal.
#include <chrono>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) cannot_try("fork");
  if (child != 0) return outcome_of(child);
  char* const own = map_at(0, kPage);
  const long moved =
      raw_syscall(__NR_mremap, own, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, victim.address());
  const int outcome = conclude(victim, "mremap by a child", moved);
  leave(worse_of(
      outcome, conclude(victim, "munmap by a child", raw_syscall(__NR_munmap, victim.at(), victim.size()))));
}
