// A constructor of a library, which runs before that of libmseal, makes a ring and unmaps it. Its request
// waits until a pipe can be read, and then discards a page that is sealed by now.
#include "tests/attacks/early_io_uring_unmapped.h"

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  char* const page = map_at(kDiscardedLater, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect");
  if (const long sealed = seal(page, kPage); sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  if (libmseal::shim::failed(early_unmapped_ring()))
    return conclude(victim, "io_uring_setup", early_unmapped_ring());
  end_wait_of_ring();
  for (int moments = 0; moments < 500 && victim.intact(); ++moments) ::usleep(1000);
  return conclude(victim, "the write that a ring waits for", 1);
}
