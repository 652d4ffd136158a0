// With the rights of root: stop the supervisor, take a copy of its listener, and approve one's own calls.
// What a filter refuses by itself can't be approved, so the call is one that is left to the supervisor.
#include <linux/seccomp.h>
#include <sys/ioctl.h>

#include <csignal>

#include "tests/attacks/attack.h"
#include "tests/support/supervisor.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

// Answers the next call that anybody of the tree makes, whichever of the descriptors is the listener.
[[noreturn]] void approve_next(long process) {
  for (long number = 0; number < 64; ++number) {
    const long copy = raw_syscall(__NR_pidfd_getfd, process, number, 0);
    if (libmseal::shim::failed(copy)) continue;
    seccomp_notif wanted{};
    if (::ioctl(static_cast<int>(copy), SECCOMP_IOCTL_NOTIF_RECV, &wanted) != 0) continue;
    seccomp_notif_resp approved{wanted.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ::ioctl(static_cast<int>(copy), SECCOMP_IOCTL_NOTIF_SEND, &approved);
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

int main(int, char** arguments) {
  const Victim page = Victim::page();
  const pid_t supervisor = supervisor_of(arguments[1]);
  if (supervisor == 0) cannot_try("there is no supervisor");
  const long process = raw_syscall(__NR_pidfd_open, supervisor, 0);
  ::kill(supervisor, SIGSTOP);
  const int approver = ::fork();
  if (approver == 0) approve_next(process);
  const int caller = ::fork();
  if (caller == 0) {
    char* const elsewhere = map_at(0, kPage);
    (void)raw_syscall(__NR_mremap, elsewhere, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, page.at());
    ::_exit(page.intact() ? kHeld : kBroken);
  }
  // Until it has approved the call, or found no listener to do so with.
  const bool ended = eventually([&] { return ::waitpid(approver, nullptr, WNOHANG) == approver; });
  if (!ended) {
    ::kill(approver, SIGKILL);
    ::waitpid(approver, nullptr, 0);
  }
  ::kill(supervisor, SIGCONT);
  const int outcome = outcome_of(caller);
  std::printf("the caller's page is %s\n", outcome == kHeld ? "unharmed" : "CHANGED");
  return outcome;
}
