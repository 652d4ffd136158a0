#include "shim/supervisor/events/line_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "policy/parsers/text.h"

namespace libmseal::supervisor {
namespace {

constexpr int kToAppend = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC;
// Otherwise a pipe could block this process, and every call that it has to answer.
constexpr int kNotWaiting = O_NONBLOCK;
// Not readable by other users: events contain addresses.
constexpr mode_t kMode = 0600;

bool is_trusted(uid_t owner) {
  return owner == 0 || owner == geteuid();
}

// Whether others may create files in the directory, as in /tmp.
bool is_shared(int folder) {
  struct stat status {};
  if (fstat(folder, &status) != 0) return true;
  return !is_trusted(status.st_uid) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

// Has the same effect as fs.protected_symlinks, protected_hardlinks, protected_fifos and protected_regular.
int open_in_shared(int folder, const char* name) {
  const int file = openat(folder, name, kToAppend | kNotWaiting | O_NOFOLLOW, kMode);
  struct stat status {};
  if (file < 0) return -1;
  const bool is_ours = fstat(file, &status) == 0 && status.st_uid == geteuid() &&
                       (status.st_nlink == 1 || !S_ISREG(status.st_mode));
  if (is_ours) return file;
  close(file);
  errno = EACCES;
  return -1;
}

}  // namespace

LineFile::~LineFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

int LineFile::open(const std::string& path) {
  const char* const name = policy::last_component(path).data();
  const std::string folder = name == path.data() ? "." : std::string(path.data(), name);
  const int parent = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return errno;
  // An empty name means a directory: open() fails.
  descriptor_ = is_shared(parent) && *name != '\0'
                    ? open_in_shared(parent, name)
                    : openat(parent, *name != '\0' ? name : ".", kToAppend | kNotWaiting, kMode);
  const int why = descriptor_ >= 0 ? 0 : errno;
  close(parent);
  return why;
}

int LineFile::adopt(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return errno;
  is_socket_ = S_ISSOCK(status.st_mode);
  // O_NONBLOCK would also affect the program, which shares the open file: so it is opened again. A regular
  // file never blocks, and must share its offset with the program.
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
    descriptor_ = ::open(path.c_str(), O_WRONLY | kNotWaiting | O_NOCTTY | O_CLOEXEC);
    may_block_ = descriptor_ < 0;
  }
  if (descriptor_ < 0) descriptor_ = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  return descriptor_ >= 0 ? 0 : errno;
}

long LineFile::put(std::string_view text) {
  if (is_socket_) return send(descriptor_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (may_block_) {
    pollfd wanted{descriptor_, POLLOUT, 0};
    const bool has_room = poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLOUT) != 0;
    if (!has_room || text.size() > PIPE_BUF) {
      errno = EAGAIN;
      return -1;
    }
  }
  return ::write(descriptor_, text.data(), text.size());
}

int LineFile::write(std::string_view text) {
  const std::string whole = torn_ ? "\n" + std::string(text) : "";  // ends the rest of a torn line
  const std::string_view wanted = torn_ ? whole : text;
  long written = 0;
  do {
    written = put(wanted);
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<long>(wanted.size())) {
    torn_ = false;
    return 0;
  }
  const int why = written < 0 ? errno : ENOSPC;
  torn_ = torn_ || written > 0;
  return why;
}

}  // namespace libmseal::supervisor
