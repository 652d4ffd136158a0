// mprotect with PROT_GROWSDOWN while another thread changes where the stack mapping starts: above the victim
// when the call is checked, at the victim when it is made.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  char* const base = map_at(0, 8 * kPage, MAP_PRIVATE | MAP_GROWSDOWN);
  std::memset(base, 'v', 8 * kPage);
  const Victim victim(base, kPage);
  std::atomic<bool> done = false;
  std::thread changer([&] {
    while (!done) {
      (void)raw_syscall(__NR_mprotect, base + 2 * kPage, kPage, PROT_READ);
      (void)raw_syscall(__NR_mprotect, base + 2 * kPage, kPage, PROT_READ | PROT_WRITE);
    }
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  long answer = 0;
  int tries = 0;
  do {
    ++tries;
    (void)raw_syscall(__NR_mprotect, base + kPage, 7 * kPage, PROT_READ | PROT_WRITE);
    answer = raw_syscall(__NR_mprotect, base + 4 * kPage, kPage, PROT_READ | PROT_EXEC | PROT_GROWSDOWN);
  } while (tries % 64 != 0 || (victim.intact() && std::chrono::steady_clock::now() < end));
  done = true;
  changer.join();
  std::printf("%d tries\n", tries);
  return conclude(victim, "mprotect(PROT_GROWSDOWN)", answer);
}
