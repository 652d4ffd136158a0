#include "shim/supervisor/processes/kernel_sizes.h"

#include <linux/magic.h>

#include <string_view>

namespace libmseal::supervisor {
namespace {

std::uint64_t usual_huge_page(Proc& proc, std::uint64_t otherwise) {
  long size = 0;  // KiB
  (void)shim::read_lines(proc.open(shim::ProcPath("meminfo")), [&](std::string_view line) {
    size = shim::leading_number(shim::after_key(line, "Hugepagesize:"));
    return size == 0;
  });
  return size > 0 ? static_cast<std::uint64_t>(size) * 1024 : otherwise;
}

// num_possible_cpus(), or more.
std::uint64_t most_processors(std::uint64_t otherwise) {
  const shim::ProcRoot system("/sys", SYSFS_MAGIC);
  char text[4096];
  const long got = system.read(shim::ProcPath("devices/system/cpu/possible"), text);  // "0-63"
  if (got <= 0) return otherwise;
  const std::string_view list(text, static_cast<std::size_t>(got));
  const std::size_t last = list.find_last_of("-,");
  const std::string_view number = last == std::string_view::npos ? list : list.substr(last + 1);
  if (number.empty() || number.front() < '0' || number.front() > '9') return otherwise;
  return static_cast<std::uint64_t>(shim::leading_number(number)) + 1;
}

}  // namespace

KernelSizes kernel_sizes(Proc& proc) {
  const KernelSizes unknown;
  return {usual_huge_page(proc, unknown.huge_page), most_processors(unknown.processors)};
}

}  // namespace libmseal::supervisor
