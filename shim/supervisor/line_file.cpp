#include "shim/supervisor/line_file.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace libmseal::supervisor {

LineFile::~LineFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

int LineFile::open(const std::string& path) {
  // Without O_NONBLOCK a pipe would hold this process, and with it every call that it has to answer.
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
  return descriptor_ >= 0 ? 0 : errno;
}

int LineFile::write(std::string_view text) {
  char newline = '\n';  // ends what was left of a torn line
  const std::array<iovec, 2> parts{iovec{&newline, 1}, iovec{const_cast<char*>(text.data()), text.size()}};
  const std::size_t size = text.size() + (torn_ ? 1 : 0);
  ssize_t written = 0;
  do {
    written = torn_ ? writev(descriptor_, parts.data(), 2) : ::write(descriptor_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(size)) {
    torn_ = false;
    return 0;
  }
  const int why = written < 0 ? errno : ENOSPC;
  torn_ = torn_ || written > 0;
  ++lost_;
  return why;
}

std::uint64_t LineFile::take_lost() {
  return std::exchange(lost_, 0);
}

}  // namespace libmseal::supervisor
