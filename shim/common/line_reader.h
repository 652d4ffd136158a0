// Reads a text file of /proc line by line, without allocating.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// Calls visit(line) for each line of the descriptor `file` (or -errno), in order; visit returns false to
// stop. Closes the file. Returns 0 or -errno. A line longer than the buffer is truncated.
template <std::size_t Buffer = 8192, class Visit>
long read_lines(long file, Visit visit) {
  if (failed(file)) return file;
  char buffer[Buffer];
  std::size_t held = 0;
  bool skipping = false;  // the rest of a line that was cut
  long result = 0;
  for (bool more = true; more;) {
    const long got = raw_syscall(__NR_read, file, buffer + held, sizeof buffer - held);
    if (got == -EINTR) continue;
    if (got <= 0) {
      if (got == 0 && held != 0 && !skipping) (void)visit(std::string_view{buffer, held});  // no newline
      result = got;
      break;
    }
    held += static_cast<std::size_t>(got);
    std::size_t begin = 0;
    while (more) {
      const void* const found = std::memchr(buffer + begin, '\n', held - begin);
      const bool cut = found == nullptr && begin == 0 && held == sizeof buffer;
      if (found == nullptr && !cut) break;
      const std::size_t stop =
          cut ? held : static_cast<std::size_t>(static_cast<const char*>(found) - buffer);
      if (!skipping) {
        more = visit(std::string_view{buffer + begin, stop - begin});
      }
      skipping = cut;
      begin = cut ? held : stop + 1;
    }
    std::memmove(buffer, buffer + begin, held - begin);
    held -= begin;
  }
  (void)raw_syscall(__NR_close, file);
  return result;
}

template <class Visit>
long read_lines(const char* path, Visit visit) {
  return read_lines(raw_syscall(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC), visit);
}

}  // namespace libmseal::shim
