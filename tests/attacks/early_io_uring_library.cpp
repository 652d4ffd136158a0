// Its constructor runs before that of libmseal, and makes a ring that a thread of the kernel serves.
#include "tests/attacks/early_io_uring.h"

using libmseal::tests::Uring;

namespace {

struct EarlyRing {
  EarlyRing() {
    if (!libmseal::shim::failed(ring.ring())) ring.wake_thread();
  }
  Uring ring{IORING_SETUP_SQPOLL};
} g_early;

}  // namespace

Uring& early_ring() {
  return g_early.ring;
}
