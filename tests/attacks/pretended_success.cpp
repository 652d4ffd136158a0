// A filter of the program answers mseal(2) or seccomp(2) with errno 0, as if it had succeeded. What is sealed
// then is sealed, or mseal says that it is not.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

void pretend(std::uint32_t number) {
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{4, filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
    cannot_try("a filter");
}

int attack(std::uint32_t number) {
  char* const at = map_at(0x1800'0000'0000, kPage);
  std::memset(at, 'v', kPage);
  pretend(number);
  if (const long answer = seal(at, kPage); answer != 0) return nothing_promised(answer);
  const Victim victim = Victim::sealed_already(at, kPage);
  return conclude(victim, "munmap", raw_syscall(__NR_munmap, at, kPage));
}

}  // namespace

int main() {
  int worst = kHeld;
  for (const std::uint32_t number : {std::uint32_t{462}, static_cast<std::uint32_t>(__NR_seccomp)}) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) leave(attack(number));
    worst = worse_of(worst, outcome_of(child));
  }
  return worst;
}
