// A filter of the program answers seccomp(2) with 0, as if it had installed what it was given, where its
// third argument may be the address of a program. Where it can't be one, the kernel answers.
#include "tests/attacks/attack.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

int main() {
  (void)Victim::page();  // mseal works
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  constexpr std::uint32_t kOfUser = 0x7FFF;  // bits of the upper half; that of an address is not zero
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_seccomp, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2]) + 4),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kOfUser, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  if (install_filter(code) != 0) cannot_try("a filter");
  if (const long answer = seal(page, kPage); answer != 0) return nothing_promised(answer);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "munmap", raw_syscall(__NR_munmap, page, kPage));
}
