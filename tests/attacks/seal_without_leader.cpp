// A program whose first thread has ended seals a page: by the library, and as a static program by the system
// call alone.
#include <pthread.h>

#include <thread>

#include "tests/attacks/attack.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

void rest() {
  if (!wait_until_first_thread_has_ended()) cannot_try("the first thread does not end");
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  const long sealed = seal(page, kPage);
  if (sealed != 0) leave(nothing_promised(sealed));
  const Victim victim = Victim::sealed_already(page, kPage);
  leave(conclude(victim, "munmap", raw_syscall(__NR_munmap, page, kPage)));
}

}  // namespace

int main() {
  std::thread(rest).detach();
  ::pthread_exit(nullptr);
}
