// Reads a maps file line by line, without allocating.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "policy/maps_line.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// Calls visit(vma) for each mapping in the file, in order; visit returns false to stop. Returns 0, or -errno:
// of the file, or EPROTO for a line that is no maps line. The name of a path longer than the buffer is cut.
template <class Visit>
long read_maps(const char* path, Visit visit) {
  const long file = raw_syscall(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (failed(file)) return file;
  char buffer[8192];
  std::size_t held = 0;
  bool skipping = false;  // the rest of a line that was cut
  long result = 0;
  for (bool more = true; more;) {
    const long got = raw_syscall(__NR_read, file, buffer + held, sizeof buffer - held);
    if (got == -EINTR) continue;
    if (got <= 0) {
      result = got;
      break;
    }
    held += static_cast<std::size_t>(got);
    std::size_t begin = 0;
    while (more && result == 0) {
      const void* const found = std::memchr(buffer + begin, '\n', held - begin);
      const bool cut = found == nullptr && begin == 0 && held == sizeof buffer;
      if (found == nullptr && !cut) break;
      const std::size_t stop =
          cut ? held : static_cast<std::size_t>(static_cast<const char*>(found) - buffer);
      if (!skipping) {
        const auto vma = policy::parse_maps_line({buffer + begin, stop - begin});
        if (!vma) result = -EPROTO;
        if (vma) more = visit(*vma);
      }
      skipping = cut;
      begin = cut ? held : stop + 1;
    }
    if (result != 0) break;
    std::memmove(buffer, buffer + begin, held - begin);
    held -= begin;
  }
  (void)raw_syscall(__NR_close, file);
  return result;
}

}  // namespace libmseal::shim
