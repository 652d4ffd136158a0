// io_destroy unmaps the sealed ring of an aio context.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  unsigned long context = 0;
  if (raw_syscall(__NR_io_setup, 8, &context) != 0) cannot_try("io_setup");
  const Victim victim(reinterpret_cast<char*>(context), kPage);
  return conclude(victim, "io_destroy", raw_syscall(__NR_io_destroy, context));
}
