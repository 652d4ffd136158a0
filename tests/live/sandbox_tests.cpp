// Sealing in programs whose own filters allow next to nothing.
#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: a program seals whatever its own filter forbids, traps or kills for") {
  for (const std::string options : {"backend=seccomp", "backend=seccomp,coverage=all"}) {
    for (const char* name : {"seals_in_a_sandbox", "seals_under_a_broker", "seals_in_a_sandbox_with_threads",
                             "seals_without_descriptors"}) {
      expect_success(run(preloaded(options, {LIVE_PROGRAM, name})));
    }
    expect_success(
        run(preloaded(options, {LIVE_PROGRAM, "late_object_in_a_sandbox", PLUGINS "/nodelete.so"})));
  }
}

}  // namespace
}  // namespace libmseal::tests
