// The first thread ends and the process goes on: the supervisor must not forget it while other programs come
// and go.
#include <pthread.h>

#include <thread>

#include "tests/attacks/programs.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

void rest(const Victim& page) {
  if (!wait_until_first_thread_has_ended()) cannot_try("the first thread does not end");
  make_forget();
  const long answer = raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  const int outcome = conclude(page, "mprotect of the page", answer);
  leave(outcome);
}

}  // namespace

int main() {
  static const Victim page = Victim::supervised_page();
  std::thread([] { rest(page); }).detach();
  ::pthread_exit(nullptr);
}
