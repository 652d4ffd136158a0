// Kill the supervisor, become its successor, and approve one's own calls.
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/attacks/attack.h"
#include "tests/support/filters.h"
#include "tests/support/supervisor.h"

using namespace libmseal::tests;

namespace {

void kill_supervisor_in(const char* log) {
  const pid_t supervisor = supervisor_of(log);
  if (supervisor != 0 && kill_supervisor(supervisor)) std::printf("the supervisor is killed\n");
}

}  // namespace

int main(int, char** arguments) {
  const Victim page = Victim::supervised_page();
  kill_supervisor_in(arguments[1]);
  const long listener =
      install_filter_for(__NR_munmap, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
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
