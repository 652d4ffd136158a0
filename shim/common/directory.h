// Reads a directory without allocating.
#pragma once

#include <cstdint>
#include <string_view>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// Calls visit(name) for each entry of the open directory except . and .. until one does not return 0, and
// returns that. Returns 0 at the end, or -errno. The descriptor stays open.
template <class Visit>
long for_each_entry(long directory, Visit visit) {
  struct Entry {  // the kernel's linux_dirent64
    std::uint64_t inode;
    std::int64_t next;
    std::uint16_t length;
    std::uint8_t type;
    char name[];
  };
  alignas(Entry) char buffer[2048] = {};
  long result = 0;
  while (result == 0) {
    const long got = raw_syscall(__NR_getdents64, directory, buffer, sizeof buffer);
    if (got < 0) result = got;
    if (got <= 0) break;
    for (long at = 0; at < got && result == 0;) {
      const auto* const entry = reinterpret_cast<const Entry*>(buffer + at);
      const std::string_view name = entry->name;
      if (name != "." && name != "..") result = visit(static_cast<const char*>(entry->name));
      at += entry->length;
    }
  }
  return result;
}

}  // namespace libmseal::shim
