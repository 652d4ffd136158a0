#include "policy/parsers/mount_line.h"

#include "policy/parsers/text.h"

namespace libmseal::policy {
namespace {

constexpr int kMountPoint = 4;  // fields before it
constexpr std::string_view kType = " - proc ";

}  // namespace

// Spaces inside a field are escaped, so " - " occurs only before the type.
bool mounts_proc(std::string_view line) {
  return line.find(kType) != std::string_view::npos;
}

// The option is absent if nothing is hidden (fs/proc/root.c, proc_show_options).
bool hides_processes(std::string_view line) {
  return mounts_proc(line) && line.find(",hidepid=", line.find(kType)) != std::string_view::npos;
}

bool mounts_proc_elsewhere(std::string_view line) {
  if (!mounts_proc(line)) return false;
  for (int field = 0; field < kMountPoint; ++field) (void)take_until(line, ' ');
  const std::string_view point = take_until(line, ' ');
  return point.starts_with('/') && point != "/proc" && !point.starts_with("/proc/");
}

}  // namespace libmseal::policy
