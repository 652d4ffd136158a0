#include "policy/rules/segment_choice.h"

#include <vector>

#include "policy/parsers/maps_line.h"
#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

std::vector<Range> selected(const char* line, const std::vector<Range>& segments,
                            const std::vector<Range>& mutable_data = {}, bool data = false) {
  std::vector<Range> parts;
  const Vma vma = *parse_maps_line(line);
  select_segments(vma, {segments, mutable_data, data}, [&](const Range& part, bool discard_protected) {
    CHECK(discard_protected == !vma.writable);
    parts.push_back(part);
  });
  return parts;
}

const std::vector<Range> kSegments{{0x1000, 0x3000}, {0x3000, 0x6000}, {0x7000, 0x9000}};

TEST_CASE("what an object maps and can't write is selected, cut to its segments") {
  CHECK(selected("1000-3000 r-xp 00000000 fe:00 7 /lib", kSegments) == std::vector<Range>{{0x1000, 0x3000}});
  CHECK(selected("3000-4000 r--p 00000000 fe:00 7 /lib", kSegments) == std::vector<Range>{{0x3000, 0x4000}});
  CHECK(selected("5000-8000 ---p 00000000 fe:00 7 /lib", kSegments) ==
        std::vector<Range>{{0x5000, 0x6000}, {0x7000, 0x8000}});
}

TEST_CASE("writable, shared and foreign memory is not") {
  CHECK(selected("3000-4000 rw-p 00000000 fe:00 7 /lib", kSegments).empty());
  CHECK(selected("3000-4000 r--s 00000000 fe:00 7 /lib", kSegments).empty());
  CHECK(selected("6000-7000 r--p 00000000 fe:00 7 /lib", kSegments).empty());
  CHECK(selected("9000-a000 r--p 00000000 fe:00 7 /other", kSegments).empty());
}

TEST_CASE("data is selected where it is wanted, but for what the program wants to change") {
  const char* const data = "3000-6000 rw-p 00000000 fe:00 7 /lib";
  const char* const bss = "7000-9000 rw-p 00000000 00:00 0";
  CHECK(selected(data, kSegments, {}, true) == std::vector<Range>{{0x3000, 0x6000}});
  CHECK(selected(bss, kSegments, {}, true) == std::vector<Range>{{0x7000, 0x9000}});
  CHECK(selected(bss, kSegments).empty());
  CHECK(selected("7000-9000 r--p 00000000 00:00 0 [vdso]", kSegments, {}, true).empty());
  CHECK(selected("7000-9000 rw-s 00000000 00:00 0", kSegments, {}, true).empty());
  CHECK(selected(data, kSegments, {{0x4000, 0x5000}}, true) ==
        std::vector<Range>{{0x3000, 0x4000}, {0x5000, 0x6000}});
  CHECK(selected(data, kSegments, {{0x5000, 0x7000}, {0x3000, 0x4000}}, true) ==
        std::vector<Range>{{0x4000, 0x5000}});
  CHECK(selected(data, kSegments, {{0x1000, 0x9000}}, true).empty());
}

}  // namespace
}  // namespace libmseal::policy
