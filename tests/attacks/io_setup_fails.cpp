// io_setup that can't write the number of its ring unmaps that again, from where its first page is by then:
// another thread moves it below the victim.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  using Clock = std::chrono::steady_clock;
  constexpr long kEvents = 1024;
  constexpr std::size_t kPages = 17;  // of such a ring
  std::atomic<std::uint64_t> ring = 0;
  std::atomic<std::uint64_t> target = 0;
  std::atomic<bool> done = false;
  std::thread mover([&] {
    while (!done)
      (void)raw_syscall(__NR_mremap, ring.load(), kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target.load());
  });
  // A ring's number is its address. The kernel maps the next one there, too, when this one is gone.
  char* const number = map_at(0, kPage);
  std::uint64_t first = 0;
  const long made = raw_syscall(__NR_io_setup, kEvents, &first);
  if (made == 0) (void)raw_syscall(__NR_io_destroy, first);
  if (raw_syscall(__NR_mprotect, number, kPage, PROT_READ) != 0) cannot_try("mprotect");
  const Victim victim = Victim::page(0x2000'0100'0000);
  target = victim.address() - (kPages - 1) * kPage;
  if (made != 0) leave(conclude(victim, "io_setup", made));
  ring = first;
  long answer = 0;
  const auto end = Clock::now() + std::chrono::seconds(2);
  while (Clock::now() < end && victim.intact()) {
    for (int call = 0; call < 200; ++call) answer = raw_syscall(__NR_io_setup, kEvents, number);
  }
  done = true;
  mover.join();
  return conclude(victim, "io_setup", answer);
}
