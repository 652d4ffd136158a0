// A filter of the program answers mseal(2) or seccomp(2) with errno 0, as if it had succeeded: mseal must
// seal all the same, or fail.
#include "tests/attacks/attack.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

namespace {

int attack(std::uint32_t number) {
  char* const at = map_at(0x1800'0000'0000, kPage);
  std::memset(at, 'v', kPage);
  if (install_filter_for(number, SECCOMP_RET_ERRNO | 0) != 0) cannot_try("a filter");
  if (const long answer = seal(at, kPage); answer != 0) return nothing_promised(answer);
  const Victim victim = Victim::sealed_already(at, kPage);
  return conclude(victim, "munmap", raw_syscall(__NR_munmap, at, kPage));
}

}  // namespace

int main() {
  (void)Victim::page();  // mseal works
  int worst = kHeld;
  for (const std::uint32_t number : {std::uint32_t{462}, static_cast<std::uint32_t>(__NR_seccomp)}) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
      const int outcome = attack(number);
      leave(outcome == kNothingSealed ? kHeld : outcome);  // it said so
    }
    worst = worse_of(worst, outcome_of(child));
  }
  return worst;
}
