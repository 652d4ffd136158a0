// io_destroy of a sealed aio ring below 4 GiB by int 0x80, with garbage in the upper half.
#include "tests/attacks/attack.h"
#include "tests/attacks/int80.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  constexpr std::uint32_t kIoDestroy = 246;
  constexpr std::uint64_t kLow = 0x2000'0000;
  unsigned long context = 0;
  if (raw_syscall(__NR_io_setup, 8, &context) != 0) cannot_try("io_setup");
  const long moved = raw_syscall(__NR_mremap, context, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, kLow);
  if (static_cast<std::uint64_t>(moved) != kLow) cannot_try("mremap of the ring");
  const Victim victim(reinterpret_cast<char*>(kLow), kPage);
  return conclude(victim, "io_destroy by int 0x80", int80_garbage(kIoDestroy, kLow));
}
