#include "shim/supervisor/listener.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <cerrno>

namespace libmseal::supervisor {

Listener::Listener(int descriptor) : descriptor_(descriptor) {
  // Linux 6.6 and later: whoever notifies wakes this process on its own processor, and waits anyway.
  constexpr unsigned long kSetFlags = _IOW('!', 4, std::uint64_t);  // SECCOMP_IOCTL_NOTIF_SET_FLAGS
  constexpr std::uint64_t kSyncWakeUp = 1;                          // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
  (void)ioctl(descriptor_, kSetFlags, kSyncWakeUp);
}

Listener::Event Listener::next(seccomp_notif& notification, int timeout_ms) {
  pollfd wanted{descriptor_, POLLIN, 0};
  if (poll(&wanted, 1, timeout_ms) <= 0) return Event::nothing;
  if ((wanted.revents & POLLIN) == 0) {
    return (wanted.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 ? Event::hang_up : Event::nothing;
  }
  notification = {};  // the kernel insists on zeros
  // ENOENT and EINTR are everyday: the caller was killed or interrupted meanwhile.
  return ioctl(descriptor_, SECCOMP_IOCTL_NOTIF_RECV, &notification) == 0 ? Event::notification
                                                                          : Event::nothing;
}

bool Listener::still_waits(std::uint64_t id) const {
  return ioctl(descriptor_, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

int Listener::give_descriptor(std::uint64_t id, int file) const {
  seccomp_notif_addfd given{};
  given.id = id;
  given.srcfd = static_cast<std::uint32_t>(file);
  given.newfd_flags = O_CLOEXEC;
  return ioctl(descriptor_, SECCOMP_IOCTL_NOTIF_ADDFD, &given);
}

void Listener::respond(seccomp_notif_resp response) const {
  // A failure means that the caller is gone, or that the kernel has answered for us: nothing is left to do.
  (void)ioctl(descriptor_, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

}  // namespace libmseal::supervisor
