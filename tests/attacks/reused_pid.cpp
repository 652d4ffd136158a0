// A process seals a page and ends; another one gets its number, sometimes within the same hundredth of a
// second, by which processes are told apart. What the first one sealed is not sealed in the second: there
// mseal must seal, or fail.
#include <fcntl.h>

#include <chrono>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// The next process gets `number`, if nobody else comes first.
bool choose_next(int number) {
  std::ofstream last("/proc/sys/kernel/ns_last_pid");
  last << number - 1 << std::flush;
  return last.good();
}

int seal_and_unmap(char* page) {
  if (::mseal(page, kPage, 0) != 0) return kNothingSealed;
  return raw_syscall(__NR_munmap, page, kPage) == -EPERM ? kHeld : kBroken;
}

// What comes of a second process with the number of one that has sealed the page; kCannotTry if another has
// come first.
int reuse(char* page) {
  const int first = ::fork();
  if (first == 0) ::_exit(::mseal(page, kPage, 0) == 0 ? kHeld : kCannotTry);
  if (outcome_of(first) != kHeld) cannot_try("mseal in a child");
  if (!choose_next(first)) cannot_try("ns_last_pid");
  const int second = ::fork();
  if (second == 0) ::_exit(::getpid() == first ? seal_and_unmap(page) : kCannotTry);
  return outcome_of(second);
}

}  // namespace

int main() {
  char* const page = map_at(0, kPage);
  int reused = 0;
  int sealed = 0;  // of them
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  // Others come first at times.
  for (int attempt = 0; attempt < 20'000; ++attempt) {
    if (reused != 0 && std::chrono::steady_clock::now() > end) break;
    const int outcome = reuse(page);
    if (outcome == kCannotTry) continue;
    ++reused;
    if (outcome == kHeld) ++sealed;
    if (outcome == kHeld || outcome == kNothingSealed) continue;
    std::printf("the second process with one number: what it sealed is NOT SEALED\n");
    return outcome;
  }
  if (reused == 0) cannot_try("the same number twice");
  std::printf("%d numbers were used twice: what the second process sealed, %d times, is sealed\n", reused,
              sealed);
  return sealed != 0 ? kHeld : kNothingSealed;
}
