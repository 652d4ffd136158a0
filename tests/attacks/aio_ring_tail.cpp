// The same with the last page of a longer ring.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  unsigned long context = 0;
  const auto events = static_cast<long>(2 * kPage / 32);
  if (raw_syscall(__NR_io_setup, events, &context) != 0) cannot_try("io_setup");
  const std::uint64_t second = context + kPage;
  if (raw_syscall(__NR_munmap, second, kPage) != 0) cannot_try("munmap of a part of the ring");
  const Victim victim = Victim::page(second);
  return conclude(victim, "io_destroy", raw_syscall(__NR_io_destroy, context));
}
