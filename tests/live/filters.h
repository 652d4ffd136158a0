// Filters that a stricter environment might have put on a program before it starts.
#pragma once

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace libmseal::tests {

// What the system call `number` meets from now on; the rest is allowed. The listener's descriptor where
// `flags` ask for one.
inline int answer_with(int number, std::uint32_t action, unsigned flags = 0) {
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, action), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{4, filter};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long installed = ::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (installed < 0) ::_exit(125);
  return static_cast<int>(installed);
}

// Another supervisor's listener, which lives on in the program.
inline void install_other_listener() {
  const int listener = answer_with(999, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  ::fcntl(listener, F_SETFD, 0);
}

}  // namespace libmseal::tests
