// An open /proc: reads and parses its files without allocating.
//
// A process with CAP_SYS_ADMIN may mount something over a file of /proc. Files opened here are never on such
// a mount.
#pragma once

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/statfs.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "policy/parsers/stat_line.h"
#include "shim/common/directory.h"
#include "shim/common/killed_calls.h"
#include "shim/common/line_reader.h"
#include "shim/common/no_copy.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// A path below /proc, such as 12/task/13/stat.
class ProcPath {
 public:
  ProcPath(long process, std::string_view file) { append(process).append("/").append(file); }
  explicit ProcPath(std::string_view file) { append(file); }

  ProcPath& append(std::string_view text) {
    for (const char character : text) {
      if (used_ + 1 < sizeof text_) text_[used_++] = character;
    }
    text_[used_] = '\0';
    return *this;
  }
  ProcPath& append(long number) {
    char digits[24];
    const auto written = std::to_chars(digits, digits + sizeof digits, number);
    return append({digits, static_cast<std::size_t>(written.ptr - digits)});
  }
  [[nodiscard]] const char* text() const { return text_; }

 private:
  char text_[96] = {};
  std::size_t used_ = 0;
};

// The number at the beginning of `text`, after blanks; 0 if there is none.
inline long leading_number(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  long number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

class ProcRoot : NoCopy {
 public:
  // Opens the procfs at /proc, or another file system of type `kind`. On failure descriptor() is -errno:
  // ENOENT if something else is mounted there.
  explicit ProcRoot(const char* path = "/proc", long kind = PROC_SUPER_MAGIC)
      : directory_(raw_syscall(__NR_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    struct statfs filesystem {};
    if (failed(directory_)) return;
    if (raw_syscall(__NR_fstatfs, directory_, &filesystem) == 0 && filesystem.f_type == kind) return;
    (void)raw_syscall(__NR_close, directory_);
    directory_ = -ENOENT;
  }
  ~ProcRoot() {
    if (!failed(directory_)) (void)raw_syscall(__NR_close, directory_);
  }

  [[nodiscard]] long descriptor() const { return directory_; }

  // A descriptor, or -errno.
  [[nodiscard]] long open(const ProcPath& path, std::uint64_t flags = O_RDONLY) const {
    if (failed(directory_)) return directory_;
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV;
    const long file = g_killed_calls.openat2
                          ? -ENOSYS
                          : raw_syscall(__NR_openat2, directory_, path.text(), &how, sizeof how);
    // Some container profiles refuse openat2; they do not allow mounting either.
    if (file != -ENOSYS && file != -EPERM) return file;
    return raw_syscall(__NR_openat, directory_, path.text(), static_cast<long>(how.flags));
  }

  // Reads the file into `buffer`. Returns the bytes read, or -errno. Only for files that one read returns in
  // full (stat, syscall, loadavg, ...).
  template <std::size_t Size>
  long read(const ProcPath& path, char (&buffer)[Size]) const {
    const long file = open(path);
    if (failed(file)) return file;
    long got = 0;
    do {
      got = raw_syscall(__NR_read, file, buffer, static_cast<long>(Size));
    } while (got == -EINTR);
    (void)raw_syscall(__NR_close, file);
    return got;
  }

  // Calls visit(name) for each entry of the directory, as for_each_entry().
  template <class Visit>
  long list(const ProcPath& path, Visit visit) const {
    const long directory = open(path, O_RDONLY | O_DIRECTORY);
    if (failed(directory)) return directory;
    const long result = for_each_entry(directory, visit);
    (void)raw_syscall(__NR_close, directory);
    return result;
  }

 private:
  long directory_;
};

// Calls visit(line) for each line of /proc/TASK/status, as read_lines(). It contains the list of groups, so
// it may be much longer than a page. Newlines in the name of the process are escaped, so it can't forge a
// line.
template <class Visit>
long visit_status(const ProcRoot& proc, const ProcPath& path, Visit visit) {
  constexpr std::size_t kPiece = 2048;
  return read_lines<kPiece>(proc.open(path), visit);
}

// The rest of the line after `key` ("Tgid:"); empty if the line has another key.
inline std::string_view after_key(std::string_view line, std::string_view key) {
  return line.starts_with(key) ? line.substr(key.size()) : std::string_view();
}

// From /proc/TASK/status.
struct TaskStatus {
  long thread_group = 0;
  long user = -1;                     // real
  long group = -1;                    // real
  bool filtered = false;              // runs under seccomp filters
  std::uint32_t filters = ~0U;        // how many; kernels before 5.9 do not say
  long peak = -1;                     // the most memory that it has had mapped, in KiB; -1: it has none
  bool is_first_of_namespace = true;  // of its pid namespace; true if the kernel has none
};

// 0 or -errno.
inline long read_status(const ProcRoot& proc, long task, TaskStatus& status) {
  status = {};
  bool complete = false;
  const long read = visit_status(proc, ProcPath(task, "status"), [&](std::string_view line) {
    if (const auto group = after_key(line, "Tgid:"); !group.empty())
      status.thread_group = leading_number(group);
    if (const auto users = after_key(line, "Uid:"); !users.empty()) status.user = leading_number(users);
    if (const auto groups = after_key(line, "Gid:"); !groups.empty()) status.group = leading_number(groups);
    if (const auto numbers = after_key(line, "NSpid:"); !numbers.empty())
      status.is_first_of_namespace = numbers.ends_with("\t1");
    if (const auto peak = after_key(line, "VmPeak:"); !peak.empty()) status.peak = leading_number(peak);
    if (const auto seccomp = after_key(line, "Seccomp:"); !seccomp.empty()) {
      status.filtered = leading_number(seccomp) != 0;
      complete = status.thread_group != 0;
      return true;
    }
    const auto filters = after_key(line, "Seccomp_filters:");
    if (!filters.empty()) status.filters = static_cast<std::uint32_t>(leading_number(filters));
    return !complete;  // it is the line after that
  });
  if (read != 0) return read;
  return complete ? 0 : -EPROTO;
}

// Reads a stat file: 0 or -errno.
inline long read_stat(const ProcRoot& proc, const ProcPath& path, policy::StatLine& stat) {
  char buffer[2048];
  const long got = proc.read(path, buffer);
  if (got < 0) return got;
  const auto line = policy::parse_stat_line({buffer, static_cast<std::size_t>(got)});
  if (!line) return -EPROTO;
  stat = *line;
  return 0;
}
inline long read_stat(const ProcRoot& proc, long task, policy::StatLine& stat) {
  return read_stat(proc, ProcPath(task, "stat"), stat);
}

// 0 if the numbers in this /proc are those of the reader's own pid namespace. -EXDEV if they are those of an
// outer one (unshare --pid without a new mount); another -errno if it can't be read. NSpid begins with the
// namespace of the procfs.
inline long check_own_namespace(const ProcRoot& proc) {
  long only_number = 0;
  const long read = visit_status(proc, ProcPath("self/status"), [&](std::string_view line) {
    std::string_view numbers = after_key(line, "NSpid:");
    if (numbers.empty()) return true;
    while (numbers.starts_with('\t')) numbers.remove_prefix(1);
    if (numbers.find('\t') == std::string_view::npos) only_number = leading_number(numbers);
    return false;
  });
  if (read != 0) return read;
  return only_number == raw_syscall(__NR_getpid) ? 0 : -EXDEV;
}

}  // namespace libmseal::shim
