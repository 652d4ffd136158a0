// Other people's programs do their work, and hear nothing.
#include <csignal>
#include <filesystem>
#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: an unmodified python3 can no longer change its own code, constants and RELRO") {
  if (!needs(std::filesystem::exists("/usr/bin/python3"), "/usr/bin/python3")) return;
  for (const char* backend : {"supervised", "filters"}) {
    const Run result = run(preloaded(std::string("backend=") + backend,
                                     {"/usr/bin/python3", LIVE_SOURCES "/change_own_memory.py"}));
    INFO(result.err);
    CHECK(result.out == "True True\n");
    CHECK(result.err == "");
  }
}

TEST_CASE("live: an unmodified bash does its work, subprocesses and all") {
  const Run result =
      run(preloaded("backend=supervised", {"/bin/bash", "-c",
                                           "for i in 1 2 3; do echo $i | cat; done; (exit 3); echo $?; "
                                           "/bin/true && ls / | grep -c . >/dev/null; wait; echo done"}));
  CHECK(result.out == "1\n2\n3\n3\ndone\n");
  CHECK(result.err == "");
  CHECK(result.status == 0);
}

TEST_CASE("live: exit status, signals and standard streams are the program's") {
  CHECK(run(preloaded("backend=supervised", {"/bin/sh", "-c", "exit 7"})).status == 7);
  CHECK(run(preloaded("backend=supervised", {"/bin/sh", "-c", "kill -TERM $$"})).status == 128 + SIGTERM);
  CHECK(run(preloaded("backend=supervised", {"/bin/sh", "-c", "kill -SEGV $$"})).status == 128 + SIGSEGV);
  const Run streams = run(preloaded("backend=supervised", {"/bin/sh", "-c", "echo out; echo err >&2"}));
  CHECK(streams.out == "out\n");
  CHECK(streams.err == "err\n");
}

TEST_CASE("live: a pipe ends when its program ends") {
  Command command = preloaded("backend=supervised", {"/bin/sh", "-c", "/bin/echo hello | /bin/cat"});
  command.timeout_s = 20;
  CHECK(run(command).out == "hello\n");
}

TEST_CASE("live: healthy programs hear nothing") {
  const Run result = run(preloaded("backend=supervised", {"/bin/true"}));
  CHECK(result.out + result.err == "");
  CHECK(run({{MSEAL_SUPERVISOR}, {}, {}, 60}).status == 2);
}

TEST_CASE("live: programs of musl are sealed by the same library") {
  const TemporaryPath program("musl");
  const Run built = run({{"musl-gcc", "-o", program.string(), LIVE_SOURCES "/other_program.c"}, {}, {}, 60});
  if (!needs(built.status == 0, "musl-gcc, of musl-tools")) return;
  for (const char* backend : {"supervised", "filters", "libc"}) {
    CAPTURE(backend);
    expect_success(run(preloaded(std::string("backend=") + backend, {program.string()})));
  }
}

}  // namespace
}  // namespace libmseal::tests
