#include "shim/preload/messages/message.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "shim/common/child.h"
#include "shim/preload/messages/standard_error.h"

namespace libmseal::shim {
namespace {

constinit bool g_silent = false;
constinit bool g_asks_nothing = false;

bool memory_is_limited() {
  if (g_asks_nothing) return false;
  rlimit memory{};
  return raw_syscall(__NR_prlimit64, 0, RLIMIT_AS, nullptr, &memory) == 0 && memory.rlim_cur != RLIM_INFINITY;
}

// Whether an AppArmor profile is in force here. If the file can't be read, a profile forbids that.
bool is_confined() {
  if (g_asks_nothing) return false;
  const long file =
      raw_syscall(__NR_openat, AT_FDCWD, "/proc/self/attr/apparmor/current", O_RDONLY | O_CLOEXEC);
  if (failed(file)) return file == -EACCES;
  constexpr std::string_view kNone = "unconfined";
  std::array<char, kNone.size()> profile{};
  const long got = raw_syscall(__NR_read, file, profile.data(), profile.size());
  (void)raw_syscall(__NR_close, file);
  return got > 0 && std::string_view(profile.data(), static_cast<std::size_t>(got)) != kNone;
}

// Empty for an unexpected error.
std::string_view text_of(long error) {
  switch (error) {
    case EPERM:
      return "not permitted (EPERM)";
    case ENOENT:
      return "no such file (ENOENT)";
    case ESRCH:
      return "a thread has filters of its own (ESRCH)";
    case EACCES:
      return is_confined() ? "access denied (EACCES): the AppArmor profile may lack <abstractions/libmseal>"
                           : "access denied (EACCES)";
    case EBUSY:
      return "another seccomp listener is in force (EBUSY)";
    case EINVAL:
      return "not supported by this kernel (EINVAL)";
    case ENOSYS:
      return "missing in this kernel (ENOSYS)";
    case ENOMEM:
      return memory_is_limited() ? "no memory left (ENOMEM): ulimit -v limits it" : "no room left (ENOMEM)";
    case EMFILE:
      return "no descriptor left (EMFILE): ulimit -n limits them";
    case EXDEV:
      return "the next process is in another pid namespace (EXDEV)";
    case ENFILE:
      return "too many open files on this machine (ENFILE)";
    case EFBIG:
      return "the file would be too large (EFBIG): ulimit -f limits it";
    case EAGAIN:
      return "no resources (EAGAIN): ulimit -u may be too low";
    case EISDIR:
      return "it is a directory (EISDIR)";
    case ENOTDIR:
      return "part of the path is not a directory (ENOTDIR)";
    case ENXIO:
      return "nobody reads the pipe, or there is no such device (ENXIO)";
    case ETXTBSY:
      return "it is a program that runs (ETXTBSY)";
    case EROFS:
      return "it is on a read-only file system (EROFS)";
    case ENOSPC:
      return "the disk is full (ENOSPC)";
    case ELOOP:
      return "it is a symbolic link in a directory to which others can write, or has too many links (ELOOP)";
    case ENAMETOOLONG:
      return "the name is too long (ENAMETOOLONG)";
    case ENOEXEC:
      return "it is not a program (ENOEXEC)";
    case ECANCELED:
      return "a seccomp filter of this program or an ancestor kills processes that make this call "
             "(ECANCELED)";
    case EPIPE:
      return memory_is_limited() ? "it ended early (EPIPE): ulimit -v may leave it too little memory"
                                 : "it ended early (EPIPE)";
    case EPROTO:
      return "install it and the library from one build (EPROTO)";
    case EBADMSG:
      return "not in the form that this version knows (EBADMSG)";
    case ETIMEDOUT:
      return "no answer in time (ETIMEDOUT)";
    case EBADF:
      return "no such descriptor (EBADF)";
    case ENODEV:
      return "that file can't be mapped (ENODEV)";
    default:
      return "";
  }
}

}  // namespace

void restrict_messages(bool silent, bool asks_nothing) {
  g_silent = silent;
  g_asks_nothing = asks_nothing;
}

Message& Message::operator<<(std::string_view text) {
  for (const char character : text) {
    // Drops control characters, and keeps one place for the newline.
    const bool printable = static_cast<unsigned char>(character) >= ' ' && character != 0x7F;
    if (line_.size() + 1 < line_.capacity()) (void)line_.push_back(printable ? character : '?');
  }
  return *this;
}

Message& Message::operator<<(long number) {
  char digits[24];
  const auto written = std::to_chars(digits, digits + sizeof digits, number);
  return *this << std::string_view(digits, static_cast<std::size_t>(written.ptr - digits));
}

Message::~Message() {
  if (g_silent) return;
  (void)line_.push_back('\n');
  write_to_standard_error({line_.data(), line_.size()});
}

Message& operator<<(Message& message, ErrorText shown) {
  constexpr long kErrors = 256;
  const long error = shown.error < 0 ? -shown.error : shown.error;
  if (const std::string_view text = text_of(error); !text.empty()) return message << text;
  message << "unexpected error";
  return error < kErrors ? message << " " << error : message;
}

Message& operator<<(Message& message, const Reason& reason) {
  message << reason.what;
  if (!reason.subject.empty()) message << " (" << reason.subject << ")";
  if (reason.error == 0) return message;
  return message << ", " << ErrorText{reason.error};
}

void end_program() {
  end_process(127);
}

}  // namespace libmseal::shim
