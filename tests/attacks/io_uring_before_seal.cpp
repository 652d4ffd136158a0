// Two rings that were made before the first seal, when the call was not blocked yet. One of them is served by
// a thread of the kernel, and so needs no system call any more.
#include "tests/attacks/uring.h"

using namespace libmseal::tests;

int main() {
  Uring ring;
  Uring polled(IORING_SETUP_SQPOLL);
  if (libmseal::shim::failed(ring.ring())) {
    errno = static_cast<int>(-ring.ring());
    cannot_try("io_uring_setup");
  }
  if (!libmseal::shim::failed(polled.ring())) polled.wake_thread();
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect");
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  int worst = kHeld;
  if (!libmseal::shim::failed(polled.ring())) {
    worst = conclude(victim, "io_uring MADVISE, polled", polled.madvise_by_thread(victim, MADV_DONTNEED));
  }
  return worse_of(worst, conclude(victim, "io_uring MADVISE", ring.madvise(victim, MADV_DONTNEED)));
}
