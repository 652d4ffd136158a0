// A process and its grandchild whose first threads have ended. kcmp(2) finds them equal, for neither has
// memory. What the child between them has sealed must stay sealed in the grandchild.
#include <pthread.h>

#include <thread>

#include "tests/attacks/attack.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint64_t kTarget = 0x1000'0100'0000;

// Goes on in a thread, without the first one.
void without_leader(void (*rest)()) {
  std::thread([rest] {
    if (!wait_until_first_thread_has_ended()) cannot_try("the first thread does not end");
    rest();
  }).detach();
  ::pthread_exit(nullptr);
}

int in_child(int (*body)()) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  return child > 0 ? outcome_of(child) : kCannotTry;
}

int seal_another() {
  return seal(map_at(0, kPage), kPage) == 0 ? 0 : kCannotTry;
}

void replace() {
  const Victim victim = Victim::sealed_already(reinterpret_cast<char*>(kTarget), kPage);
  for (int child = 0; child < 2; ++child) (void)in_child(seal_another);
  const auto source = reinterpret_cast<std::uint64_t>(map_at(0, kPage));
  const long answer =
      raw_syscall(__NR_mremap, source, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, victim.address());
  leave(conclude(victim, "mremap onto the victim", answer));
}

int grandchild() {
  without_leader(replace);
  return kCannotTry;
}

int child() {
  char* const page = map_at(kTarget, kPage);
  std::memset(page, 'v', kPage);
  if (seal(page, kPage) != 0) return kCannotTry;
  return in_child(grandchild);
}

}  // namespace

int main() {
  if (seal(map_at(0, kPage), kPage) != 0) cannot_try("mseal");
  without_leader([] { leave(in_child(child)); });
}
