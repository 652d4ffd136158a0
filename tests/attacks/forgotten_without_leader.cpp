// The first thread ends, the process goes on: nobody is to forget it while other programs come and go.
#include <pthread.h>

#include <thread>

#include "tests/attacks/programs.h"

using namespace libmseal::tests;

namespace {

void rest(const Victim& text) {
  ::usleep(50'000);  // the first thread has ended by then
  for (int count = 0; count < 70; ++count) run_program();
  const long answer = raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  const int outcome = conclude(text, "mprotect of the text", answer);
  leave(outcome);
}

}  // namespace

int main() {
  static const Victim text = Victim::text();
  std::thread([] { rest(text); }).detach();
  ::pthread_exit(nullptr);
}
