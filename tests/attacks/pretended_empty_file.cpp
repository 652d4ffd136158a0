// A madvise that began before the seal waits. A filter of the program answers each read of 256 bytes with 0,
// as if /proc/PID/task/TID/syscall were empty, as it is once the thread has ended. The supervisor, which
// starts later, inherits the filter.
#include "tests/attacks/stalled_discard.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint32_t kSize = 256;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_read, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSize, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  if (install_filter(code) != 0) cannot_try("a filter");
  return discard_stalled(discard_by_madvise);
}
