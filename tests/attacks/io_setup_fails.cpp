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
  const Victim victim = Victim::page(0x2000'0100'0000);
  const std::uint64_t target = victim.address() - (kPages - 1) * kPage;
  char* const number = map_at(0, kPage);
  if (raw_syscall(__NR_mprotect, number, kPage, PROT_READ) != 0) cannot_try("mprotect");
  // The kernel maps the next ring where this was.
  const auto ring = reinterpret_cast<std::uint64_t>(map_at(0, kPages * kPage, MAP_SHARED));
  if (raw_syscall(__NR_munmap, ring, kPages * kPage) != 0) cannot_try("munmap");
  std::atomic<bool> done = false;
  std::thread mover([&] {
    while (!done) (void)raw_syscall(__NR_mremap, ring, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target);
  });
  long answer = 0;
  const auto end = Clock::now() + std::chrono::seconds(2);
  while (Clock::now() < end && victim.intact()) {
    for (int call = 0; call < 200; ++call) answer = raw_syscall(__NR_io_setup, kEvents, number);
  }
  done = true;
  mover.join();
  return conclude(victim, "io_setup", answer);
}
