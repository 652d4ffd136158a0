// A constructor of a library, which runs before that of libmseal, makes an aio ring. Later the last page of
// the ring is unmapped, and a sealed page lies there: io_destroy unmaps as many bytes as the ring had
// (fs/aio.c, kill_ioctx).
#include "tests/attacks/early_aio_ring.h"

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const libmseal::policy::Range ring = early_aio_ring();
  const std::uint64_t last = ring.end - kPage;
  if (raw_syscall(__NR_munmap, last, kPage) != 0) cannot_try("munmap of a part of the ring");
  char* const page = map_at(last, kPage);
  std::memset(page, 'v', kPage);
  if (const long sealed = seal(page, kPage); sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "io_destroy", raw_syscall(__NR_io_destroy, ring.start));
}
