// What takes too long on an emulated machine: large numbers.
#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live-long: coverage=all takes ten thousand seals, and enforces every one") {
  for (const char* scenario : {"seals_in_batches", "seals_one_by_one"}) {
    expect_success(run(preloaded("backend=seccomp,coverage=all", {LIVE_PROGRAM, scenario, "10000"})));
  }
  for (const char* scenario : {"seals_in_batches", "seals_one_by_one"}) {
    expect_success(run(preloaded("backend=seccomp,coverage=all,auto=off", {LIVE_PROGRAM, scenario, "1000"})));
  }
}

TEST_CASE("live-long: fifty images one after the other under coverage=all") {
  expect_success(run(preloaded("backend=seccomp,coverage=all", {LIVE_PROGRAM, "exec_chain", "50"})));
}

}  // namespace
}  // namespace libmseal::tests
