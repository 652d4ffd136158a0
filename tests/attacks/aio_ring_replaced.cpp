// io_destroy of a ring that was unmapped by hand, with a sealed page in its old place: it still unmaps there.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  unsigned long context = 0;
  if (raw_syscall(__NR_io_setup, 8, &context) != 0) cannot_try("io_setup");
  char head[64];  // by which the kernel recognises the ring
  std::memcpy(head, reinterpret_cast<char*>(context), sizeof head);
  if (raw_syscall(__NR_munmap, context, kPage) != 0) cannot_try("munmap of the ring");
  char* const at = map_at(context, kPage);
  std::memset(at, 'v', kPage);
  std::memcpy(at, head, sizeof head);
  const Victim victim(at, kPage);
  return conclude(victim, "io_destroy", raw_syscall(__NR_io_destroy, context));
}
