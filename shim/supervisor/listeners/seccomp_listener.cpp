#include "shim/supervisor/listeners/seccomp_listener.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "shim/common/clock.h"

namespace libmseal::supervisor {
namespace {

// The receiving ioctl blocks by itself, so poll() is an additional system call. But before Linux 6.11 the
// ioctl blocks for ever once no process is left; only poll() reports that. So during a burst of notifications
// poll() is left out, until a timer tick interrupts a waiting ioctl.
constexpr int kBurst = 16;  // notifications
constexpr auto kRightAfter = std::chrono::milliseconds(2);
constexpr int kTick = 50;  // ms

void set_timer(int tick) {
  const itimerval timer{{0, tick * 1000}, {0, tick * 1000}};
  (void)setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

SeccompListener::SeccompListener(int descriptor) : descriptor_(descriptor) {
  // Linux 6.6 and later: the notifying thread wakes this process on its own processor, since it waits anyway.
  constexpr unsigned long kSetFlags = _IOW('!', 4, std::uint64_t);  // SECCOMP_IOCTL_NOTIF_SET_FLAGS
  constexpr std::uint64_t kSyncWakeUp = 1;                          // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
  (void)ioctl(descriptor_, kSetFlags, kSyncWakeUp);
  struct sigaction action {};  // without SA_RESTART, so that a tick interrupts the ioctl
  action.sa_handler = [](int) {};
  (void)sigaction(SIGALRM, &action, nullptr);
}

int SeccompListener::find_refused_call() {
  seccomp_notif nothing{};
  for (const unsigned long request :
       {SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND, SECCOMP_IOCTL_NOTIF_ID_VALID}) {
    if (ioctl(-1, request, &nothing) < 0 && errno != EBADF) return errno;
  }
  return poll(nullptr, 0, 0) < 0 ? errno : 0;
}

Listener::Received SeccompListener::next(seccomp_notif& notification, int timeout_ms) {
  const bool tick_will_do = timeout_ms < 0 || timeout_ms >= kTick;
  if (in_burst_ && tick_will_do && receive(notification)) return Received::notification;
  end_burst();
  const auto start = Clock::now();
  pollfd wanted{descriptor_, POLLIN, 0};
  const int ready = poll(&wanted, 1, timeout_ms);
  if (ready < 0) return after_failure();
  if (ready == 0) return Received::nothing;
  if ((wanted.revents & POLLIN) == 0) {
    return (wanted.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 ? Received::hang_up : Received::nothing;
  }
  if (!receive(notification)) return after_failure();
  failures_ = 0;
  quick_ = Clock::now() - start < kRightAfter ? quick_ + 1 : 0;
  if (quick_ == kBurst) begin_burst();
  return Received::notification;
}

// A single failure is normal: the caller was killed or interrupted. Failures for a second without a pause are
// permanent.
Listener::Received SeccompListener::after_failure() {
  constexpr int kMostFailures = 1000;
  constexpr long kNap = 1'000'000;  // ns
  if (errno == ENOENT || errno == EINTR) return Received::nothing;
  if (++failures_ == kMostFailures) return Received::broken;
  shim::nap(kNap);
  return Received::nothing;
}

void SeccompListener::begin_burst() {
  quick_ = 0;
  in_burst_ = true;
  set_timer(kTick);
}

void SeccompListener::end_burst() {
  if (!in_burst_) return;
  in_burst_ = false;
  set_timer(0);
}

bool SeccompListener::receive(seccomp_notif& notification) const {
  notification = {};  // the kernel insists on zeros
  return ioctl(descriptor_, SECCOMP_IOCTL_NOTIF_RECV, &notification) == 0;
}

bool SeccompListener::has_next() const {
  pollfd wanted{descriptor_, POLLIN, 0};
  return poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLIN) != 0;
}

bool SeccompListener::still_waits(std::uint64_t id) const {
  return ioctl_whole(SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool SeccompListener::answer_with_table(std::uint64_t id, int file) {
  // If a signal interrupts it, the process gets the answer 0 and no descriptor (kernel/seccomp.c,
  // seccomp_notify_addfd).
  end_burst();
  constexpr std::uint32_t kAndSend = 2;  // SECCOMP_ADDFD_FLAG_SEND, since Linux 5.14
  seccomp_notif_addfd given{};
  given.id = id;
  given.flags = kAndSend;
  given.srcfd = static_cast<std::uint32_t>(file);
  given.newfd_flags = O_CLOEXEC;
  if (ioctl(descriptor_, SECCOMP_IOCTL_NOTIF_ADDFD, &given) >= 0) return true;
  if (errno != EINVAL) return false;
  given.flags = 0;
  const int number = ioctl(descriptor_, SECCOMP_IOCTL_NOTIF_ADDFD, &given);
  if (number >= 0) answer(id, number);
  return number >= 0;
}

bool SeccompListener::deliver(std::uint64_t id, std::int64_t value) {
  const bool fails = value < 0;
  return respond({id, fails ? 0 : value, fails ? static_cast<std::int32_t>(value) : 0, 0});
}

// False if the caller is gone, or the kernel has answered already: nothing is left to do.
bool SeccompListener::respond(seccomp_notif_resp response) const {
  return ioctl_whole(SECCOMP_IOCTL_NOTIF_SEND, &response) == 0;
}

// A signal may interrupt it while it waits for the lock; then it has done nothing.
int SeccompListener::ioctl_whole(unsigned long request, void* argument) const {
  int result = 0;
  do {
    result = ioctl(descriptor_, request, argument);
  } while (result < 0 && errno == EINTR);
  return result;
}

}  // namespace libmseal::supervisor
