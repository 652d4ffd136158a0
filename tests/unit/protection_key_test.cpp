#include "policy/protection_key.h"

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

TEST_CASE("the key's line of smaps") {
  CHECK(parse_key_line("ProtectionKey:         0") == 0U);
  CHECK(parse_key_line("ProtectionKey:        15") == 15U);
  CHECK_FALSE(parse_key_line("Size:                  4 kB"));
  CHECK_FALSE(parse_key_line("ProtectionKey:"));
  CHECK_FALSE(parse_key_line("ProtectionKey:       -1"));
  CHECK_FALSE(parse_key_line("ProtectionKey:      100"));
}

TEST_CASE("a thread may write as its register says") {
  CHECK(may_write(0, 0));
  CHECK(may_write(0, 5));
  CHECK_FALSE(may_write(1U << 10, 5));  // no access
  CHECK_FALSE(may_write(2U << 10, 5));  // no writing
  CHECK(may_write(2U << 10, 4));
  CHECK_FALSE(may_write(0, 16));
}

}  // namespace
}  // namespace libmseal::policy
