// Seals by type, and which memory may be sealed.
#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: seals refuse what their types say, and types add up") {
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"}) {
    scenario(options, "types");
    scenario(options, "types_of_sealable");
    scenario(options, "types_are_checked");
  }
  scenario("backend=libc", "types_are_checked");
  if (needs_mseal()) scenario("backend=kernel", "kernel_has_no_types");
}

TEST_CASE("live: sealable=required takes what MAP_SEALABLE has placed, and nothing else") {
  expect_success(
      run(preloaded("backend=supervised,sealable=required", {LIVE_PROGRAM, "only_sealable", "placed"})));
  expect_success(run(preloaded("backend=supervised,coverage=all,sealable=required",
                               {LIVE_PROGRAM, "only_sealable", "placed"})));
  const Run without = run(preloaded("backend=filters,sealable=required", {LIVE_PROGRAM, "only_sealable"}));
  expect_success(without);
  CHECK_THAT(without.err, ContainsSubstring("sealable=required, and the memory was not placed"));
}

}  // namespace
}  // namespace libmseal::tests
