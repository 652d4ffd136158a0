// io_destroy unmaps as many bytes as the ring had at io_setup, from where its first page is now: that page is
// moved below the victim.
#include "tests/attacks/aio_ring.h"

using namespace libmseal::tests;

extern "C" char __ehdr_start[];

namespace {

// Moves the first page of a ring, so that the old length ends where the victim does.
unsigned long ring_aimed_at(const Victim& victim) {
  const libmseal::policy::Range ring = new_ring();
  const std::uint64_t target = victim.address() + victim.size() - ring.size();
  const long moved =
      raw_syscall(__NR_mremap, ring.start, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target);
  if (static_cast<std::uint64_t>(moved) != target) cannot_try("mremap of the ring");
  return target;
}

}  // namespace

int main() {
  const Victim page = Victim::page(0x2000'0100'0000);
  const Victim own(__ehdr_start, kPage);
  const int held =
      conclude(page, "io_destroy below a page", raw_syscall(__NR_io_destroy, ring_aimed_at(page)));
  const long answer = raw_syscall(__NR_io_destroy, ring_aimed_at(own));
  leave(worse_of(held, conclude(own, "io_destroy below the program", answer)));
}
