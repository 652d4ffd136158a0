// Time namespaces (time_namespaces(7)).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "shim/common/proc_root.h"

namespace libmseal::shim {

// By how much CLOCK_BOOTTIME of this process is ahead of that of the machine, in ns.
//
// Start times in /proc/PID/stat follow it on current kernels, and did not at first (5.10; fs/proc/array.c,
// do_task_stat).
inline std::int64_t boot_time_offset(const ProcRoot& proc) {
  std::int64_t offset = 0;
  (void)read_lines(proc.open(ProcPath("self/timens_offsets")), [&](std::string_view line) {
    std::string_view numbers = after_key(line, "boottime");
    if (numbers.empty()) return true;
    const std::int64_t seconds = leading_number(numbers);
    numbers.remove_prefix(std::min(numbers.find_first_not_of(' '), numbers.size()));
    numbers.remove_prefix(std::min(numbers.find(' '), numbers.size()));
    offset = seconds * 1'000'000'000 + leading_number(numbers);
    return false;
  });
  return offset;
}

}  // namespace libmseal::shim
