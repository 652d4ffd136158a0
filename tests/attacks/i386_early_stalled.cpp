// madvise by int 0x80, with garbage in the upper halves of its registers, has begun in a constructor that ran
// before that of libmseal, and so before its first filter: /proc shows no call that i386 could have made.
#include "tests/attacks/i386_early_stalled.h"

using namespace libmseal::tests;

int main() {
  return early_discard().end_after(seal);
}
