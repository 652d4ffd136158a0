// Reads a maps file, without allocating.
#pragma once

#include <cerrno>
#include <string_view>

#include "policy/maps_line.h"
#include "shim/common/line_reader.h"

namespace libmseal::shim {

// Calls visit(vma) for each mapping in the file, in order; visit returns false to stop. Returns 0, or -errno:
// of the file, or EBADMSG for a line that is no maps line. The name of a path longer than a line is cut.
template <class Visit>
long read_maps(const char* path, Visit visit) {
  bool understood = true;
  const long read = read_lines(path, [&](std::string_view line) {
    const auto vma = policy::parse_maps_line(line);
    understood = vma.has_value();
    return vma && visit(*vma);
  });
  if (read != 0) return read;
  return understood ? 0 : -EBADMSG;
}

}  // namespace libmseal::shim
