// As forgotten_without_leader, with children that send messages to the supervisor instead of other programs.
#include <pthread.h>

#include <thread>

#include "tests/attacks/programs.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

void rest(const Victim& page) {
  if (!wait_until_first_thread_has_ended()) cannot_try("the first thread does not end");
  long answer = -EPERM;
  for (int round = 0; round < 2 && answer != 0; ++round) {
    for (int count = 0; count < 80; ++count) make_known();
    ::usleep(200'000);  // idle, the supervisor looks for processes that have ended
    answer = raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  }
  leave(conclude(page, "mprotect of the page", answer));
}

}  // namespace

int main() {
  static const Victim page = Victim::supervised_page();
  std::thread([] { rest(page); }).detach();
  ::pthread_exit(nullptr);
}
