// The same with children that speak to the supervisor, instead of other programs.
#include <pthread.h>

#include <thread>

#include "tests/attacks/programs.h"

using namespace libmseal::tests;

namespace {

void rest(const Victim& text) {
  ::usleep(50'000);  // the first thread has ended by then
  long answer = -EPERM;
  for (int count = 0; count < 150 && answer != 0; ++count) {
    make_known();
    answer = raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  }
  leave(conclude(text, "mprotect of the text", answer));
}

}  // namespace

int main() {
  static const Victim text = Victim::text();
  std::thread([] { rest(text); }).detach();
  ::pthread_exit(nullptr);
}
