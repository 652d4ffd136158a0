#include "shim/supervisor/listener.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <cerrno>

namespace libmseal::supervisor {

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
