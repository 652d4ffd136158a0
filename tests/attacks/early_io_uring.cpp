// A constructor of a library, which runs before that of libmseal, makes a ring that a thread of the kernel
// serves (IORING_SETUP_SQPOLL): it takes no system call to discard a page.
#include "tests/attacks/early_io_uring.h"

using namespace libmseal::tests;

int main() {
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect");
  if (const long sealed = seal(page, kPage); sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  if (libmseal::shim::failed(early_ring().ring()))
    return conclude(victim, "io_uring_setup", early_ring().ring());
  return conclude(victim, "io_uring MADVISE", early_ring().madvise_by_thread(victim, MADV_DONTNEED));
}
