// coverage=all, which serves programs that no preload reaches; and programs of musl, which the preload does.
#include <string>

#include "tests/live/runs.h"
#include "tests/live/tool.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: coverage=all serves mseal to programs that no preload reaches") {
  if (!needs_mseal_to_be_notified()) return;
  const auto served = [](const std::string& program) {
    const Run result = tool({"run", "--backend=supervised", "--coverage=all", "--", program, "few"});
    expect_success(result);
    CHECK(result.err == "");
  };
  served(STATIC_PROGRAM);
  const TemporaryPath musl("musl");
  const Run built =
      run({{"musl-gcc", "-static", "-o", musl.string(), LIVE_SOURCES "/static_program.c"}, {}, {}, 60});
  if (needs(built.status == 0, "musl-gcc, of musl-tools")) served(musl.string());
}

TEST_CASE("live: coverage=all leaves programs that seal nothing alone") {
  const Run result = tool({"run", "--backend=supervised", "--coverage=all", "--", "/bin/bash", "-c",
                           "for i in 1 2 3 4 5; do (echo $i | cat); done; ls / > /dev/null; echo done"});
  CHECK(result.out == "1\n2\n3\n4\n5\ndone\n");
  CHECK(result.err == "");
}

// The supervisor answers mseal(2) there as the kernel would.
TEST_CASE("live: under coverage=all a program with the library is not told that the kernel has mseal(2)") {
  const Run result =
      run(preloaded("backend=supervised,coverage=all", {"sh", "-c", "MSEAL_OPTIONS=verbose=1 /bin/true"}));
  CHECK(result.status == 0);
  CHECK_THAT(result.err, ContainsSubstring("backend supervised on Linux"));
  CHECK_THAT(result.err, ContainsSubstring("under the supervisor of this process tree"));
}

TEST_CASE("live: coverage=all leaves a static shell and its children alone") {
  const Run there = run({{"busybox", "true"}, {}, {}, 60});
  if (!needs(there.status == 0, "busybox-static")) return;
  const Run result = tool({"run", "-q", "--backend=supervised", "--coverage=all", "--", "busybox", "sh", "-c",
                           "for i in 1 2 3; do echo $i | busybox cat; done; busybox ls / | busybox wc -l > "
                           "/dev/null; (exec busybox echo done)"});
  CHECK(result.out == "1\n2\n3\ndone\n");
  CHECK(result.err == "");
}

}  // namespace
}  // namespace libmseal::tests
