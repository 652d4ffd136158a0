// A mapping, as far as /proc/PID/maps shows it.
#pragma once

#include <cstdint>
#include <string_view>

#include "policy/rules/range.h"

namespace libmseal::policy {

struct Vma {
  Range range;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  std::uint64_t offset = 0;
  std::uint64_t inode = 0;  // 0: not mapped from a file
  std::string_view name;    // path or [label], a view into the parsed line

  // As the kernel's vma_is_anonymous(): special mappings such as [vdso] and [vvar] are not, and private ones
  // of /dev/zero are (drivers/char/mem.c, mmap_zero).
  [[nodiscard]] bool anonymous() const {
    if (name == "/dev/zero") return !shared;
    return inode == 0 &&
           (name.empty() || name == "[heap]" || name == "[stack]" || name.starts_with("[anon:"));
  }
};

}  // namespace libmseal::policy
