// io_destroy unmaps as much as the ring had at io_setup, from where its first page is now: below the victim.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

extern "C" const char __ehdr_start[];

namespace {

// A ring of two pages at least, its first one just below `target`.
unsigned long ring_below(std::uint64_t target) {
  unsigned long context = 0;
  const auto events = static_cast<long>(2 * kPage / 32);
  if (raw_syscall(__NR_io_setup, events, &context) != 0) cannot_try("io_setup");
  const long moved =
      raw_syscall(__NR_mremap, context, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target - kPage);
  if (static_cast<std::uint64_t>(moved) != target - kPage) cannot_try("mremap of the ring");
  return target - kPage;
}

}  // namespace

int main() {
  const Victim page = Victim::page(0x2000'0001'0000);
  const Victim own(const_cast<char*>(__ehdr_start), kPage);
  const int held =
      conclude(page, "io_destroy below a page", raw_syscall(__NR_io_destroy, ring_below(page.address())));
  const long answer = raw_syscall(__NR_io_destroy, ring_below(own.address()));
  return worse_of(held, conclude(own, "io_destroy below the program", answer));
}
