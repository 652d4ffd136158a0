// The same with children that seal, instead of other programs.
#include <pthread.h>

#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

void rest() {
  ::usleep(50'000);  // the first thread has ended by then
  const Victim text = Victim::text();
  char* const page = map_at(0, kPage);
  for (int count = 0; count < 140; ++count) {
    const int child = ::fork();
    if (child == 0) ::_exit(seal(page, kPage) == 0 ? 0 : 1);
    (void)outcome_of(child);
  }
  const long answer = raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  const int outcome = conclude(text, "mprotect of the text", answer);
  std::fflush(stdout);
  ::_exit(outcome);
}

}  // namespace

int main() {
  std::thread(rest).detach();
  ::pthread_exit(nullptr);
}
