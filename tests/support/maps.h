// What /proc says of mapped memory.
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "policy/parsers/maps_line.h"

namespace libmseal::tests {

// Each mapping that touches [at, at + size), cut to it, with its protection and file: what a refused call
// must leave as they were. The first thread's maps are empty once it has ended, so they are those of the
// thread.
inline std::string maps_of(const void* at, std::size_t size) {
  const policy::Range wanted = policy::Range::of(reinterpret_cast<std::uint64_t>(at), size);
  std::ifstream maps("/proc/thread-self/maps");
  std::ostringstream found;
  for (std::string line; std::getline(maps, line);) {
    const auto vma = policy::parse_maps_line(line);
    if (!vma || !vma->range.touches(wanted)) continue;
    const policy::Range part = policy::intersection(vma->range, wanted);
    found << std::hex << part.start << '-' << part.end << ' ' << (vma->readable ? 'r' : '-')
          << (vma->writable ? 'w' : '-') << (vma->executable ? 'x' : '-') << (vma->shared ? 's' : 'p') << ' '
          << vma->inode << '\n';
  }
  return found.str();
}

}  // namespace libmseal::tests
