// Kill the supervisor, become its successor, and approve one's own calls.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/attacks/attack.h"
#include "tests/support/supervisor.h"

using namespace libmseal::tests;

namespace {

void kill_supervisor(const char* log) {
  const pid_t supervisor = supervisor_of(log);
  if (supervisor != 0 && ::kill(supervisor, SIGKILL) == 0) std::printf("the supervisor is killed\n");
  ::usleep(50'000);
}

}  // namespace

int main(int, char** arguments) {
  const Victim page = Victim::supervised_page();
  kill_supervisor(arguments[1]);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sock_filter notify[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_munmap, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{4, notify};
  const long listener =
      raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  if (libmseal::shim::failed(listener)) {
    (void)raw_syscall(__NR_munmap, page.at(), page.size());
    return conclude(page, "a listener of one's own", listener);
  }
  const int approver = ::fork();
  if (approver == 0) {
    seccomp_notif wanted{};
    if (::ioctl(static_cast<int>(listener), SECCOMP_IOCTL_NOTIF_RECV, &wanted) == 0) {
      seccomp_notif_resp approved{wanted.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
      ::ioctl(static_cast<int>(listener), SECCOMP_IOCTL_NOTIF_SEND, &approved);
    }
    ::_exit(0);
  }
  const long answer = raw_syscall(__NR_munmap, page.at(), page.size());
  ::kill(approver, SIGKILL);
  return conclude(page, "munmap, approved by oneself", answer);
}
