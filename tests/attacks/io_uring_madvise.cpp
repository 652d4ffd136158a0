// io_uring's IORING_OP_MADVISE is a madvise that passes no filter.
#include "tests/attacks/uring.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  Uring ring;
  if (libmseal::shim::failed(ring.ring())) return conclude(victim, "io_uring_setup", ring.ring());
  return conclude(victim, "io_uring MADVISE", ring.madvise(victim, MADV_DONTNEED));
}
