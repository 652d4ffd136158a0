#include "policy/rules/seal_request.h"

#include "policy/parsers/maps_line.h"

#include <cerrno>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kHuge = 2U << 20;

Vma vma_of(const char* line) {
  const auto vma = parse_maps_line(line);
  REQUIRE(vma);
  return *vma;
}

TEST_CASE("a request is checked as the kernel does") {
  Range range;
  const auto check = [&](std::uint64_t address, std::uint64_t length) {
    return check_request(kX86Machine, address, length, range);
  };
  CHECK(check(0x1000, 1) == 0);
  CHECK(range == Range{0x1000, 0x2000});
  CHECK(check(0x1000 | 5ULL << 57, 0x1001) == 0);
  CHECK(range == Range{0x1000, 0x3000});
  CHECK(check(0x1000, 0) == 0);
  CHECK(range.empty());
  CHECK(check(0x1001, 0) == -EINVAL);
  CHECK(check(0x1000, ~0ULL) == -EINVAL);   // rounds to 0
  CHECK(check(0x2000, -kPage) == -EINVAL);  // wraps
}

TEST_CASE("a seal has the attributes of its mapping") {
  struct Row {
    const char* line;
    bool strict;
    bool kernel;
    bool may_grow_down;
    std::uint64_t attachment;
  };
  const Row rows[] = {
      {"10000-20000 r-xp 00000000 fe:00 7 /bin/cat", true, false, false, Seal::kNotAttached},
      {"10000-20000 rw-p 00000000 fe:00 7 /bin/cat", false, false, false, Seal::kNotAttached},
      {"10000-20000 r--s 00000000 fe:00 7 /bin/cat", false, false, false, Seal::kNotAttached},
      {"10000-20000 r--p 00000000 00:00 0", true, true, true, Seal::kNotAttached},
      {"10000-20000 rw-p 00000000 00:00 0", false, false, true, Seal::kNotAttached},
      {"10000-20000 ---p 00000000 00:00 0 [stack]", true, true, true, Seal::kNotAttached},
      {"10000-20000 rw-p 00000000 00:00 0 [anon:x]", false, false, true, Seal::kNotAttached},
      {"10000-20000 r--p 00000000 00:00 0 [vvar]", true, false, false, Seal::kNotAttached},
      {"10000-20000 r--p 00000000 00:05 4 /dev/zero", true, true, true, Seal::kNotAttached},
      {"10000-20000 r--s 00000000 00:01 4 /dev/zero (deleted)", false, false, false, Seal::kNotAttached},
      {"10000-20000 rw-s 00000000 00:01 7 /SYSV00000000 (deleted)", false, false, false, 0x10000},
      {"10000-20000 r--s 00003000 00:01 7 /SYSV00000000 (deleted)", false, false, false, 0xD000},
      {"10000-20000 r--s 00010000 00:01 7 /SYSV00000000 (deleted)", false, false, false, 0},
  };
  for (const Row& row : rows) {
    INFO(row.line);
    const Vma vma = vma_of(row.line);
    const Range part{0x11000, 0x12000};
    const Seal strict = seal_of(vma, part, DiscardRule::strict);
    CHECK(strict == Seal{part, row.strict, row.may_grow_down, kWholeSeal, row.attachment});
    CHECK(seal_of(vma, part, DiscardRule::kernel) ==
          Seal{part, row.kernel, row.may_grow_down, kWholeSeal, row.attachment});
    for (const SealTypes types : {kBaseType, kBaseType | kProtectionType}) {
      CHECK(seal_of(vma, part, DiscardRule::strict, types) ==
            Seal{part, false, row.may_grow_down, types, row.attachment});
    }
    // Where the protection may change, it does not matter.
    const SealTypes contents = kBaseType | kContentsType;
    CHECK(seal_of(vma, part, DiscardRule::strict, contents).discard_protected == !vma.shared);
    CHECK(seal_of(vma, part, DiscardRule::kernel, contents).discard_protected ==
          (!vma.shared && vma.anonymous()));
  }
}

TEST_CASE("a mapping may be of huge pages if its line does not rule it out") {
  const auto may = [](const Range& range, std::uint64_t inode) {
    Vma vma;
    vma.range = range;
    vma.inode = inode;
    return may_have_huge_pages(kX86Machine, vma);
  };
  CHECK(may({kHuge, 2 * kHuge}, 7));
  CHECK(may({kHuge, 5 * kHuge}, 7));
  CHECK_FALSE(may({kHuge, 2 * kHuge}, 0));  // huge pages come from a file, MAP_HUGETLB's too
  CHECK_FALSE(may({kHuge + kPage, 2 * kHuge}, 7));
  CHECK_FALSE(may({kHuge, 2 * kHuge - kPage}, 7));
  Vma vma;
  vma.range = {64U << 10, 128U << 10};
  vma.inode = 7;
  CHECK(may_have_huge_pages(arm64_machine(kPage), vma));
  CHECK_FALSE(may_have_huge_pages(kX86Machine, vma));
}

}  // namespace
}  // namespace libmseal::policy
