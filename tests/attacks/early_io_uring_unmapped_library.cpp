// Its constructor runs before that of libmseal. The ring that it makes waits to discard a page: no thread of
// the kernel serves it meanwhile, and it is not mapped any more.
#include "tests/attacks/early_io_uring_unmapped.h"

#include "tests/attacks/uring.h"

using namespace libmseal::tests;

namespace {

struct EarlyRing {
  EarlyRing() {
    if (libmseal::shim::failed(ring.ring())) return;
    if (::pipe(ends) != 0) cannot_try("pipe");
    const long taken = ring.madvise_when_readable(ends[0], kDiscardedLater, kPage, MADV_DONTNEED);
    if (taken != 2) cannot_call("io_uring_enter", taken);
    ring.unmap();
  }
  Uring ring;
  int ends[2] = {-1, -1};
} g_early;

}  // namespace

long early_unmapped_ring() {
  return g_early.ring.ring();
}

void end_wait_of_ring() {
  if (::write(g_early.ends[1], "x", 1) != 1) cannot_try("write to the pipe");
}
