#include "shim/supervisor/events/system_log.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>

namespace libmseal::supervisor {

SystemLog::~SystemLog() {
  disconnect();
}

void SystemLog::disconnect() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

int SystemLog::connect_to(int type) {
  socket_ = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) return errno;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_, sizeof address.sun_path - 1);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return 0;
  const int why = errno;
  disconnect();
  return why;
}

int SystemLog::write(int severity, std::string_view line) {
  std::array<char, 32> time{};
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  if (localtime_r(&now, &local) != nullptr) std::strftime(time.data(), time.size(), "%b %e %T ", &local);
  std::string text = "<" + std::to_string(LOG_USER | severity) + ">" + time.data() + "mseal-supervisor[" +
                     std::to_string(getpid()) + "]: " + std::string(line);
  int why = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {  // the daemon may have been restarted
    if (socket_ < 0) {
      why = connect_to(SOCK_DGRAM);
      if (why == EPROTOTYPE) why = connect_to(SOCK_STREAM);
      if (why != 0) return why;
    }
    // On a stream socket, the zero terminates a line.
    const ssize_t sent = send(socket_, text.c_str(), text.size() + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(text.size() + 1)) return 0;
    why = sent < 0 ? errno : ENOBUFS;
    if (why == EAGAIN || why == ENOBUFS || why == ENOMEM) break;
    disconnect();
  }
  return why;
}

}  // namespace libmseal::supervisor
