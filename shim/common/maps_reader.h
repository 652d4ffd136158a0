// Reads a maps file, without allocating.
#pragma once

#include <cerrno>
#include <string_view>

#include "policy/parsers/maps_line.h"
#include "shim/common/line_reader.h"

namespace libmseal::shim {

// Calls visit(vma) for each mapping in the file (a path, or a descriptor, which is closed), in order; visit
// returns false to stop. Returns 0, or -errno: that of the file, or EBADMSG for a malformed line. Very long
// path names are truncated.
template <class File, class Visit>
long read_maps(File file, Visit visit) {
  bool understood = true;
  const long read = read_lines(file, [&](std::string_view line) {
    const auto vma = policy::parse_maps_line(line);
    understood = vma.has_value();
    return vma && visit(*vma);
  });
  if (read != 0) return read;
  return understood ? 0 : -EBADMSG;
}

// The page size of the mapping at `start`, from a file like /proc/PID/smaps; ~0 if it is not known.
template <class File>
std::uint64_t page_size_at(File smaps, std::uint64_t start) {
  bool inside = false;
  std::uint64_t size = ~0ULL;
  const long read = read_lines(smaps, [&](std::string_view line) {
    if (const auto vma = policy::parse_maps_line(line)) {
      inside = vma->range.start == start;
      return vma->range.start <= start;
    }
    const auto bytes = inside ? policy::parse_page_size_line(line) : std::nullopt;
    if (bytes) size = *bytes;
    return !bytes;
  });
  return read == 0 ? size : ~0ULL;
}

}  // namespace libmseal::shim
