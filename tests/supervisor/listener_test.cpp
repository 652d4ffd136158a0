// The notification descriptor, of a child that notifies.
#include "shim/supervisor/listeners/seccomp_listener.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>

#include "shim/common/descriptor_message.h"
#include "tests/support/catch.h"
#include "tests/support/filters.h"

namespace libmseal::tests {
namespace {

using Listener = supervisor::SeccompListener;

constexpr int kNotified = __NR_getpriority;
constexpr int kWithDescriptor = 77;  // its argument: the answer is a descriptor

struct Target {
  pid_t process = -1;
  int listener = -1;
};

// A child that sends its listener, makes so many notified calls, then one that wants a descriptor: it ends
// with status 0 if that is one of a memory file.
Target start_target(int calls) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  Target target;
  target.process = ::fork();
  if (target.process == 0) {
    char byte = 0;
    iovec part{&byte, 1};
    shim::DescriptorMessage message({&part, 1});
    const auto listener = static_cast<int>(
        install_filter_for(kNotified, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER));
    if (listener < 0 || ::sendmsg(ends[1], message.with(listener), 0) != 1) ::_exit(2);
    for (int call = 0; call < calls; ++call) (void)::syscall(kNotified, 0, 0);
    const long descriptor = ::syscall(kNotified, kWithDescriptor, 0);
    struct stat status {};
    const bool is_file =
        descriptor > 2 && ::fstat(static_cast<int>(descriptor), &status) == 0 && S_ISREG(status.st_mode);
    ::_exit(is_file ? 0 : 1);
  }
  char byte = 0;
  iovec part{&byte, 1};
  shim::DescriptorMessage message({&part, 1});
  REQUIRE(::recvmsg(ends[0], message.to_receive(), MSG_CMSG_CLOEXEC) == 1);
  target.listener = message.descriptor();
  ::close(ends[0]);
  ::close(ends[1]);
  return target;
}

bool timer_runs() {
  itimerval timer{};
  return ::getitimer(ITIMER_REAL, &timer) == 0 && (timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0);
}

// A tick while the kernel waits for the process to take the descriptor answers 0 in its place.
TEST_CASE("no timer runs while a descriptor is given, in a burst of notifications either") {
  const Target target = start_target(5000);
  REQUIRE(target.listener >= 0);
  const int file = ::memfd_create("given", MFD_CLOEXEC);
  Listener listener(target.listener);
  bool given = false;
  bool ran = false;
  bool ended = false;  // before Linux 6.11 it holds on to its filter until it is waited for
  int status = 0;
  while (true) {
    constexpr int kPatience = 100;  // ms
    seccomp_notif notification;
    const Listener::Received received = listener.next(notification, kPatience);
    ended = ended || ::waitpid(target.process, &status, WNOHANG) == target.process;
    ran = ran || timer_runs();
    if (received == Listener::Received::hang_up) break;
    if (received != Listener::Received::notification) continue;
    if (notification.data.args[0] != kWithDescriptor) {
      listener.continue_call(notification.id);
      continue;
    }
    given = listener.answer_with_table(notification.id, file);
    CHECK_FALSE(timer_runs());
  }
  CHECK(ran);
  CHECK(given);
  REQUIRE((ended || ::waitpid(target.process, &status, 0) == target.process));
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  ::close(file);
}

}  // namespace
}  // namespace libmseal::tests
