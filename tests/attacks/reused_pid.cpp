// A process seals for itself and ends; another gets its number. What the dead one sealed is not the new
// one's: its own mseal must seal, or say that it did not.
#include <fcntl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// The next process gets `number`, if nobody else comes first.
bool choose_next(int number) {
  std::ofstream last("/proc/sys/kernel/ns_last_pid");
  last << number - 1 << std::flush;
  return last.good();
}

}  // namespace

int main() {
  char* const page = map_at(0, kPage);
  const int first = ::fork();
  if (first == 0) ::_exit(::mseal(page, kPage, 0) == 0 ? kHeld : kCannotTry);
  if (outcome_of(first) != kHeld) cannot_try("mseal in a child");
  for (int attempt = 0; attempt < 20'000; ++attempt) {  // others come first at times
    if (!choose_next(first)) cannot_try("ns_last_pid");
    const int second = ::fork();
    if (second == 0) {
      if (::getpid() != first) ::_exit(kCannotTry);
      if (::mseal(page, kPage, 0) != 0) ::_exit(kHeld);
      ::_exit(raw_syscall(__NR_munmap, page, kPage) == -EPERM ? kHeld : kBroken);
    }
    const int outcome = outcome_of(second);
    if (outcome == kCannotTry) continue;
    std::printf("the second process %d: what it sealed is %s\n", first,
                outcome == kHeld ? "sealed" : "NOT SEALED");
    return outcome;
  }
  cannot_try("the same number twice");
}
