// shmdt unmaps a sealed segment.
#include "tests/attacks/segment.h"

using namespace libmseal::tests;

int main() {
  char* const at = attach_new_segment();
  const Victim victim(at + kPage, kPage);
  return conclude(victim, "shmdt", raw_syscall(__NR_shmdt, at));
}
