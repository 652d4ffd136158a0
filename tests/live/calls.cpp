// What /proc/self/maps says of a range.
#include "tests/live/calls.h"

#include <fstream>
#include <sstream>

#include "policy/parsers/maps_line.h"

namespace libmseal::tests {

std::string maps_of(const void* at, std::size_t size) {
  const policy::Range wanted = policy::Range::of(reinterpret_cast<std::uint64_t>(at), size);
  std::ifstream maps("/proc/self/maps");
  std::ostringstream found;
  for (std::string line; std::getline(maps, line);) {
    const auto vma = policy::parse_maps_line(line);
    if (!vma || !vma->range.touches(wanted)) continue;
    const policy::Range part = policy::intersection(vma->range, wanted);
    found << std::hex << part.start << '-' << part.end << (vma->readable ? 'r' : '-')
          << (vma->writable ? 'w' : '-') << (vma->executable ? 'x' : '-') << (vma->shared ? 's' : 'p') << ' '
          << vma->inode << '\n';
  }
  return found.str();
}

}  // namespace libmseal::tests
