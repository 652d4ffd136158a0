// One line of /proc/PID/maps (proc(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/range.h"

namespace libmseal::policy {

struct Vma {
  Range range;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  std::uint64_t offset = 0;
  std::uint64_t inode = 0;  // 0: no file behind it
  std::string_view name;    // path or [label], a view into the parsed line

  // As the kernel's vma_is_anonymous(): special mappings such as [vdso] and [vvar] are not.
  [[nodiscard]] bool anonymous() const {
    return inode == 0 &&
           (name.empty() || name == "[heap]" || name == "[stack]" || name.starts_with("[anon:"));
  }
};

// Nothing if the line has not the form the kernel gives it.
std::optional<Vma> parse_maps_line(std::string_view line);

// The bytes in a "KernelPageSize:" line of /proc/PID/smaps; nothing for any other line.
std::optional<std::uint64_t> parse_page_size_line(std::string_view line);

}  // namespace libmseal::policy
