// process_vm_writev changes no mapping; it needs one that is writable.
#include <sys/uio.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  char* const at = map_at(0, kPage);
  const Victim victim(at, kPage);
  char byte = 'x';
  const iovec from{&byte, 1};
  const iovec to{victim.at(), 1};
  return conclude(victim, "process_vm_writev",
                  raw_syscall(__NR_process_vm_writev, ::getpid(), &from, 1, &to, 1, 0));
}
