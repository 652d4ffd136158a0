// io_destroy of a ring of which only the first page is left, with a sealed page where the last one was.
#include "tests/attacks/aio_ring.h"

using namespace libmseal::tests;

int main() {
  const libmseal::policy::Range ring = new_ring();
  if (raw_syscall(__NR_munmap, ring.start + kPage, ring.size() - kPage) != 0) {
    cannot_try("munmap of a part of the ring");
  }
  const Victim victim = Victim::page(ring.end - kPage);
  return conclude(victim, "io_destroy", raw_syscall(__NR_io_destroy, ring.start));
}
