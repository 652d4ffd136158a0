#include "shim/preload/messages/standard_error.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdint>

#include "shim/common/no_copy.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

constexpr int kStandardError = 2;

struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t number = 0;  // of its inode
  bool operator==(const FileIdentity&) const = default;
};

constinit FileIdentity g_at_start;
constinit bool g_is_trusted = false;

void write_all(std::string_view line) {
  (void)raw_syscall(__NR_write, kStandardError, line.data(), line.size());
}

bool read_status(struct stat& status) {
  return raw_syscall(__NR_fstat, kStandardError, &status) == 0;
}

bool is_for_messages() {
  struct stat status {};
  if (!read_status(status)) return false;
  if (FileIdentity{status.st_dev, status.st_ino} == g_at_start) return true;
  if (S_ISCHR(status.st_mode)) {
    char settings[64];  // struct termios of the kernel, and more
    return raw_syscall(__NR_ioctl, kStandardError, TCGETS, settings) == 0;
  }
  const long flags = raw_syscall(__NR_fcntl, kStandardError, F_GETFL, 0);
  return S_ISREG(status.st_mode) && !failed(flags) && (flags & O_APPEND) != 0;
}

bool has_room() {
  pollfd wanted{kStandardError, POLLOUT, 0};
  const timespec at_once{};
  return raw_syscall(__NR_ppoll, &wanted, 1, &at_once, nullptr, 0) == 1 && (wanted.revents & POLLOUT) != 0;
}

// Keeps back the signals that a failed write sends to the thread: SIGPIPE, if nobody reads, and SIGXFSZ.
class NoSignals : NoCopy {
 public:
  NoSignals() {
    (void)raw_syscall(__NR_rt_sigprocmask, SIG_BLOCK, &kSent, &before_, sizeof before_);
    (void)raw_syscall(__NR_rt_sigpending, &pending_, sizeof pending_);
  }
  ~NoSignals() {
    const std::uint64_t fresh = kSent & ~pending_;
    const timespec at_once{};
    if (fresh != 0) (void)raw_syscall(__NR_rt_sigtimedwait, &fresh, nullptr, &at_once, sizeof fresh);
    (void)raw_syscall(__NR_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_);
  }

 private:
  static constexpr std::uint64_t kSent = 1ULL << (SIGPIPE - 1) | 1ULL << (SIGXFSZ - 1);
  std::uint64_t before_ = 0;
  std::uint64_t pending_ = 0;  // signals that were pending already
};

}  // namespace

void note_standard_error() {
  if (g_is_trusted) return;
  struct stat status {};
  if (read_status(status)) g_at_start = {status.st_dev, status.st_ino};
}

void write_to_standard_error(std::string_view line) {
  if (g_is_trusted) return write_all(line);
  if (!is_for_messages() || !has_room()) return;
  const NoSignals none;
  write_all(line);
}

void trust_standard_error() {
  g_is_trusted = true;
}

}  // namespace libmseal::shim
