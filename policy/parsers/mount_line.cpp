#include "policy/parsers/mount_line.h"

namespace libmseal::policy {
namespace {

constexpr int kMountPoint = 4;  // fields before it
constexpr std::string_view kType = " - proc ";

}  // namespace

bool mounts_proc_elsewhere(std::string_view line) {
  // Spaces inside a field are escaped, so " - " stands in front of the type and nowhere else.
  if (line.find(kType) == std::string_view::npos) return false;
  for (int field = 0; field < kMountPoint; ++field) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return false;
    line.remove_prefix(space + 1);
  }
  const std::string_view point = line.substr(0, line.find(' '));
  return point.starts_with('/') && point != "/proc" && !point.starts_with("/proc/");
}

}  // namespace libmseal::policy
