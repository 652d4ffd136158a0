// A ring from before the first seal discards after it: it has its requests already, is mapped nowhere, and
// its descriptor is in the table of one thread alone.
#include <sched.h>

#include <latch>
#include <thread>

#include "tests/attacks/uring.h"

using namespace libmseal::tests;

int main() {
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect");
  const Victim victim = Victim::sealed_already(page, kPage);
  std::latch submitted(1);
  std::latch over(1);
  long taken = 0;
  std::thread owner([&] {
    if (::unshare(CLONE_FILES) != 0) cannot_try("unshare");
    Uring ring;
    if (libmseal::shim::failed(ring.ring())) {
      errno = static_cast<int>(-ring.ring());
      cannot_try("io_uring_setup");
    }
    taken = ring.madvise_later(victim, MADV_DONTNEED);
    ring.unmap();
    submitted.count_down();
    over.wait();
  });
  submitted.wait();
  if (taken != 2) cannot_try("io_uring_enter");
  const long sealed = seal(page, kPage);
  if (sealed == 0) ::sleep(2);
  over.count_down();
  owner.join();
  return sealed != 0 ? nothing_promised(sealed) : conclude(victim, "io_uring MADVISE", 0);
}
