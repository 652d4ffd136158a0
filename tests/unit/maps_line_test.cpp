#include "policy/parsers/maps_line.h"

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

TEST_CASE("lines as the kernel writes them") {
  const auto text = parse_maps_line(
      "7f3b282df000-7f3b28435000 r-xp 00026000 fe:00 332835                     /usr/lib/libc.so.6");
  REQUIRE(text);
  CHECK(text->range == Range{0x7f3b282df000, 0x7f3b28435000});
  CHECK(text->readable);
  CHECK_FALSE(text->writable);
  CHECK(text->executable);
  CHECK_FALSE(text->shared);
  CHECK(text->offset == 0x26000);
  CHECK(text->inode == 332835);
  CHECK(text->name == "/usr/lib/libc.so.6");
  CHECK_FALSE(text->anonymous());

  const auto unnamed = parse_maps_line("7f3b282b6000-7f3b282b9000 rw-p 00000000 00:00 0 ");
  REQUIRE(unnamed);
  CHECK(unnamed->anonymous());
  CHECK(unnamed->name.empty());

  CHECK(parse_maps_line("5591a0ca1000-5591a0cc2000 rw-p 00000000 00:00 0      [heap]")->anonymous());
  CHECK(parse_maps_line("1000-2000 rw-p 00000000 00:00 0      [anon:x y]")->anonymous());
  CHECK_FALSE(parse_maps_line("1000-2000 r-xp 00000000 00:00 0      [vdso]")->anonymous());
  CHECK_FALSE(parse_maps_line("1000-2000 rw-s 00000000 00:01 7      /dev/zero (deleted)")->anonymous());
  CHECK(parse_maps_line("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0      [vsyscall]"));
}

TEST_CASE("anything else is no line") {
  for (const char* bad :
       {"", "x", "1000", "1000-", "1000-2000", "1000-2000 rwxp", "2000-1000 r--p 00000000 00:00 0",
        "1000-1000 r--p 00000000 00:00 0", "1000-2000 r-zp 00000000 00:00 0",
        "1000-2000 r--p 00000000 0000 0", "10000000000000000-20000000000000000 r--p 00000000 00:00 0",
        "1000-2000 r--p 00000000 00:00 0x", "1000-2000 r--p 00000000 00:00 99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(parse_maps_line(bad));
  }
}

TEST_CASE("the page size's line of smaps") {
  CHECK(parse_page_size_line("KernelPageSize:        4 kB") == 4096U);
  CHECK(parse_page_size_line("KernelPageSize:     2048 kB") == 2U << 20);
  CHECK(parse_page_size_line("KernelPageSize:  1048576 kB") == 1U << 30);
  CHECK(parse_page_size_line("KernelPageSize: 16777216 kB") == 16ULL << 30);
  CHECK(parse_page_size_line("KernelPageSize: 18014398509481983 kB") == (~0ULL >> 10) << 10);
  for (const char* bad :
       {"", "KernelPageSize:", "KernelPageSize:        kB", "KernelPageSize:        4",
        "KernelPageSize:        4 KB", "KernelPageSize:        4 kB ", "KernelPageSize:       -4 kB",
        "MMUPageSize:           4 kB", "KernelPageSize: 18014398509481984 kB",
        "KernelPageSize: 99999999999999999999 kB"}) {
    INFO(bad);
    CHECK_FALSE(parse_page_size_line(bad));
  }
}

TEST_CASE("the key's line of smaps") {
  CHECK(parse_key_line("ProtectionKey:         0") == 0U);
  CHECK(parse_key_line("ProtectionKey:        15") == 15U);
  CHECK_FALSE(parse_key_line("Size:                  4 kB"));
  CHECK_FALSE(parse_key_line("ProtectionKey:"));
  CHECK_FALSE(parse_key_line("ProtectionKey:       -1"));
  CHECK_FALSE(parse_key_line("ProtectionKey:      100"));
}

}  // namespace
}  // namespace libmseal::policy
