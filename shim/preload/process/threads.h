// The threads of this process, by /proc/self/task.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "policy/parsers/stat_line.h"
#include "shim/common/proc_root.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/thread_ids.h"

namespace libmseal::shim {

// The directory of one thread.
class Thread {
 public:
  Thread(const ProcRoot& proc, const char* name) : proc_(proc), name_(name) {}

  [[nodiscard]] long id() const { return leading_number(name_); }

  [[nodiscard]] bool has_ended() const {
    const long opened = proc_.open(folder(), O_PATH);
    if (!failed(opened)) (void)raw_syscall(__NR_close, opened);
    return opened == -ENOENT;
  }

  // Reads the file into `buffer`. Returns the bytes read (0 if the thread has ended), or -errno. Longer files
  // are truncated.
  template <std::size_t Size>
  long read(std::string_view file, char (&buffer)[Size]) const {
    const long got = proc_.read(file_in_folder(file), buffer);
    return got == -ESRCH || (got == -ENOENT && has_ended()) ? 0 : got;
  }

  // Reads its stat line. Returns what read() does, or -EIO if it is malformed.
  long stat(policy::StatLine& stat) const {
    char text[2048];
    const long got = read("stat", text);
    if (got <= 0) return got;
    const auto line = policy::parse_stat_line({text, static_cast<std::size_t>(got)});
    if (!line) return -EIO;
    stat = *line;
    return got;
  }

  // Calls visit(descriptor, name) for each entry of a directory of the thread, as for_each_entry(); 0 if the
  // thread has ended.
  template <class Visit>
  long for_each_entry(std::string_view folder, Visit visit) const {
    const long opened = proc_.open(file_in_folder(folder), O_RDONLY | O_DIRECTORY);
    if (failed(opened)) return opened == -ENOENT && has_ended() ? 0 : opened;
    const long result = shim::for_each_entry(opened, [&](const char* name) { return visit(opened, name); });
    (void)raw_syscall(__NR_close, opened);
    return result == -ENOENT ? 0 : result;  // it has ended meanwhile
  }

 private:
  [[nodiscard]] ProcPath folder() const { return ProcPath("self/task/").append(std::string_view(name_)); }
  [[nodiscard]] ProcPath file_in_folder(std::string_view file) const {
    return folder().append("/").append(file);
  }

  const ProcRoot& proc_;
  const char* name_;
};

// Calls visit(thread) for each thread until one does not return 0, and returns that. Returns 0 at the end, or
// -errno: -EAGAIN if threads begin and end all the time. A thread may be visited several times.
template <class Visit>
long for_each_thread(Visit visit) {
  constexpr int kTries = 20;
  const ProcRoot proc;
  policy::StatLine process;
  if (const long result = read_stat(proc, ProcPath("self/stat"), process); result != 0) return result;
  if (process.threads == 1) {
    char own[24] = {};
    std::to_chars(own, own + sizeof own - 1, raw_syscall(__NR_gettid));
    return visit(Thread(proc, own));
  }
  for (int tries = 0; tries < kTries; ++tries) {
    ThreadIds visited;
    ThreadIds later;
    const auto list = [&](auto look) {
      return proc.list(ProcPath("self/task"), [&](const char* name) { return look(Thread(proc, name)); });
    };
    long result = list([&](const Thread& thread) {
      visited.add(thread.id());
      return visit(thread);
    });
    if (result != 0) return result;
    if (result = read_stat(proc, ProcPath("self/stat"), process); result != 0) return result;
    result = list([&](const Thread& thread) -> long {
      later.add(thread.id());
      return 0;
    });
    if (result != 0) return result;
    if (visited.are_all_of(process.threads, later)) return 0;
  }
  return -EAGAIN;
}

}  // namespace libmseal::shim
