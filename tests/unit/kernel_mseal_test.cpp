#include "shim/common/kernel_mseal.h"

#include "tests/support/catch.h"

namespace libmseal::shim {
namespace {

TEST_CASE("the releases whose mseal(2) may miss mappings that merge are 6.17 to 6.19") {
  for (const char* affected : {"6.17.0", "6.17.13+deb14-amd64", "6.18.5", "6.18.44-fc", "6.19.0-rc1", "6.19"})
    CHECK(mseal_may_miss_mappings(affected));
  for (const char* right : {"6.1.0-40-amd64", "6.10.0", "6.12.95", "6.16.12", "6.20.0", "6.170", "7.0.1",
                            "5.17.0", "16.17", "", "6.", "6.x"})
    CHECK_FALSE(mseal_may_miss_mappings(right));
}

}  // namespace
}  // namespace libmseal::shim
