// The threads of this process, by /proc/self/task.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include "shim/common/proc_root.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// The directory of one thread.
class Thread {
 public:
  Thread(const ProcRoot& proc, const char* name) : proc_(proc), name_(name) {}

  [[nodiscard]] long id() const { return leading_number(name_); }

  // Reads the file into `buffer`. Returns the bytes read (0 if the thread has ended), or -errno. Longer files
  // are truncated.
  template <std::size_t Size>
  long read(std::string_view file, char (&buffer)[Size]) const {
    const long opened = open(file, O_RDONLY);
    if (failed(opened)) return opened == -ENOENT && has_ended() ? 0 : opened;
    long held = 0;
    while (held < static_cast<long>(Size)) {
      const long got = raw_syscall(__NR_read, opened, buffer + held, static_cast<long>(Size) - held);
      if (got == -EINTR) continue;
      if (got < 0 && held == 0 && got != -ESRCH) held = got;
      if (got <= 0) break;
      held += got;
    }
    (void)raw_syscall(__NR_close, opened);
    return held;
  }

  // Calls visit(descriptor, name) for each entry of a directory of the thread, as for_each_entry(); 0 if the
  // thread has ended.
  template <class Visit>
  long for_each_entry(std::string_view folder, Visit visit) const {
    const long opened = open(folder, O_RDONLY | O_DIRECTORY);
    if (failed(opened)) return opened == -ENOENT && has_ended() ? 0 : opened;
    const long result = shim::for_each_entry(opened, [&](const char* name) { return visit(opened, name); });
    (void)raw_syscall(__NR_close, opened);
    return result == -ENOENT ? 0 : result;  // it has ended meanwhile
  }

 private:
  [[nodiscard]] ProcPath folder() const { return ProcPath("self/task/").append(std::string_view(name_)); }
  [[nodiscard]] long open(std::string_view file, std::uint64_t flags) const {
    return proc_.open(folder().append("/").append(file), flags);
  }
  [[nodiscard]] bool has_ended() const {
    const long opened = proc_.open(folder(), O_PATH);
    if (!failed(opened)) (void)raw_syscall(__NR_close, opened);
    return opened == -ENOENT;
  }

  const ProcRoot& proc_;
  const char* name_;
};

// Calls visit(thread) for each thread until one does not return 0, and returns that. Returns 0 at the end, or
// -errno.
template <class Visit>
long for_each_thread(Visit visit) {
  const ProcRoot proc;
  return proc.list(ProcPath("self/task"), [&](const char* name) { return visit(Thread(proc, name)); });
}

}  // namespace libmseal::shim
