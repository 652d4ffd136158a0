// Filters that a program installs, or that a stricter environment has put on it before it starts.
#pragma once

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace libmseal::tests {

// The system call `number` gets this action; the others are allowed.
inline std::array<sock_filter, 4> filter_for(long number, std::uint32_t action) {
  return {{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1),
           BPF_STMT(BPF_RET | BPF_K, action), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
}

// 0, or the listener's descriptor where `flags` ask for one, or -errno.
inline long install_filter(std::span<sock_filter> code, unsigned flags = 0) {
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long installed = ::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  return installed < 0 ? -errno : installed;
}
inline long install_filter_for(long number, std::uint32_t action, unsigned flags = 0) {
  auto code = filter_for(number, action);
  return install_filter(code, flags);
}

// The same in a program that can't go on without it.
inline int answer_with(long number, std::uint32_t action, unsigned flags = 0) {
  const long installed = install_filter_for(number, action, flags);
  if (installed < 0) ::_exit(125);
  return static_cast<int>(installed);
}

// Another supervisor's listener, which lives on in the program.
inline void install_other_listener() {
  const int listener = answer_with(999, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  ::fcntl(listener, F_SETFD, 0);
}

}  // namespace libmseal::tests
