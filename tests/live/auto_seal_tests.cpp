// auto=, vdso= and skip=: what of a program is sealed when it starts.
#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

// What of its own memory the program may still change.
void expect(const std::string& options, const char* program, const std::string& changeable) {
  for (const std::string backend : {"supervised", "filters", "kernel"}) {
    if (backend == "kernel" && !needs_mseal()) continue;
    const Run result = run(preloaded("policy=none,backend=" + backend + "," + options, {program}));
    INFO(backend << ", " << options << ": " << result.err);
    CHECK(result.status == 0);
    CHECK(result.out == changeable);
  }
}

TEST_CASE("live: auto= says what is sealed at start") {
  expect("auto=off", OWN_DATA_PROGRAM, kUnsealed);
  expect("auto=elf", OWN_DATA_PROGRAM, kSealed);
  expect("auto=elf,vdso=1", OWN_DATA_PROGRAM, "data bss mutable mutable_too \n");
  expect("auto=data", OWN_DATA_PROGRAM, "mutable mutable_too vdso \n");
}

TEST_CASE("live: auto=marked seals what asks for it, and nothing else") {
  expect("auto=marked", OWN_DATA_PROGRAM, kUnsealed);
  expect("auto=marked", MARKED_PROGRAM, kSealed);
}

TEST_CASE("live: a program that is linked to the library asks for its own sealing by a note") {
  const Run unmarked = run({{OWN_DATA_PROGRAM}, {{"MSEAL_OPTIONS", "backend=supervised"}}, {}, 60});
  CHECK(unmarked.out == kUnsealed);
  const Run marked = run({{MARKED_PROGRAM}, {{"MSEAL_OPTIONS", "backend=supervised"}}, {}, 60});
  CHECK(marked.out == kSealed);
}

TEST_CASE("live: skip= leaves objects out") {
  expect("skip=own_data_*", OWN_DATA_PROGRAM, kUnsealed);
  expect("skip=libc.so*:libm.so*", OWN_DATA_PROGRAM, kSealed);
  expect("skip=!own_data_program:own_data_*", OWN_DATA_PROGRAM, kSealed);
}

TEST_CASE("live: mutable= leaves the static data of objects out of auto=data") {
  expect("auto=data,mutable=own_data_program", OWN_DATA_PROGRAM, kSealed);
  expect("auto=data,mutable=libc.so*", OWN_DATA_PROGRAM, "mutable mutable_too vdso \n");
}

}  // namespace
}  // namespace libmseal::tests
