// A line of /proc/PID/maps that is accepted has the form and the meaning that it says.
#include <cinttypes>
#include <cstdio>
#include <string>

#include "policy/parsers/maps_line.h"
#include "tests/fuzz/input.h"

using namespace libmseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto vma = policy::parse_maps_line(line);
  if (!vma) return 0;
  tests::must(!vma->range.empty());
  tests::must(vma->name.empty() || line.ends_with(vma->name));
  char text[160];
  std::snprintf(text, sizeof text, "%" PRIx64 "-%" PRIx64 " %c%c%c%c %" PRIx64 " 0:0 %" PRIu64 " ",
                vma->range.start, vma->range.end, vma->readable ? 'r' : '-', vma->writable ? 'w' : '-',
                vma->executable ? 'x' : '-', vma->shared ? 's' : 'p', vma->offset, vma->inode);
  const std::string again = text + std::string(vma->name);
  const auto same = policy::parse_maps_line(again);
  tests::must(same && same->range == vma->range && same->inode == vma->inode && same->offset == vma->offset &&
              same->name == vma->name && same->writable == vma->writable && same->shared == vma->shared);
  return 0;
}
