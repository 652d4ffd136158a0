// What takes too long on an emulated machine: large numbers, and compilers.
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <string>
#include <utility>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live-long: mseal does not wait for ever for a process that was killed in it") {
  for (const char* options : {"backend=supervised", "backend=filters"}) {
    const Run result = run(preloaded(options, {LIVE_PROGRAM, "killed_in_mseal"}));
    expect_success(result);
    CHECK_THAT(result.err, ContainsSubstring("the library's lock was not free for twenty seconds"));
  }
}

TEST_CASE("live-long: coverage=all takes ten thousand seals, and enforces every one") {
  for (const char* scenario : {"seals_in_batches", "seals_one_by_one"}) {
    expect_success(run(preloaded("backend=supervised,coverage=all", {LIVE_PROGRAM, scenario, "10000"})));
  }
  for (const char* scenario : {"seals_in_batches", "seals_one_by_one"}) {
    expect_success(
        run(preloaded("backend=supervised,coverage=all,auto=off", {LIVE_PROGRAM, scenario, "1000"})));
  }
}

TEST_CASE("live-long: what is sealed is sealed again, more often than there is room for seals") {
  if (!needs_mseal_to_be_notified()) return;
  expect_success(run(preloaded("backend=supervised,coverage=all", {LIVE_PROGRAM, "seals_again", "70000"})));
}

TEST_CASE("live-long: the supervisor forgets images that have ended, stays small, and rests") {
  if (!needs_ptrace_capability()) return;
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all"}) {
    const TemporaryPath log("small.log");
    Command command = preloaded(std::string(options) + ",log=" + log.string(),
                                {"/bin/bash", LIVE_SOURCES "/many_images.sh", log.string()});
    command.timeout_s = 300;
    const Run result = run(command);
    INFO(options << ": " << result.out << result.err);
    std::istringstream numbers(result.out);
    std::array<long, 3> files{};
    std::array<long, 3> memory{};
    for (std::size_t index = 0; index < files.size(); ++index) numbers >> files[index] >> memory[index];
    long before = 0;
    long after = 0;
    numbers >> before >> after;
    REQUIRE(numbers);
    constexpr long kImages = 100;                     // two descriptors each
    CHECK(files[1] >= files[0] + 2 * (kImages - 2));  // nobody is forgotten early
    CHECK(files[2] < files[0] + 2 * 75);              // it does forget
    // KiB. How much of the program's file counts depends on how many processes run it.
    CHECK(memory[0] < 4096);
    CHECK(memory[1] - memory[0] < kImages * 32);
    CHECK(memory[2] < 8192);
    CHECK(after - before <= 1);  // a tick may end just then
  }
}

// In a time that grows with the cube of their number, this would take many minutes.
TEST_CASE("live-long: fifteen hundred programs run at the same time, and more start beside them") {
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  if (!needs(files.rlim_max >= 8192, "room for 8192 descriptors")) return;
  const Run result =
      run(preloaded("backend=supervised", {"/bin/bash", "-c",
                                           "for i in {1..1500}; do sleep 1000 & done; "
                                           "for i in {1..300}; do /bin/true || echo failed; done; "
                                           "kill $(jobs -p); wait; echo done"}));
  INFO(result.err);
  CHECK(result.out == "done\n");
  CHECK_THAT(result.err, !ContainsSubstring("libmseal"));
}

TEST_CASE("live-long: forks, and mappings sealed from birth, by the thousand under coverage=all") {
  for (const char* scenario : {"forks_by_the_thousand", "sixty_thousand_from_birth"}) {
    expect_success(run(preloaded("backend=supervised,coverage=all", {LIVE_PROGRAM, scenario})));
  }
}

TEST_CASE("live-long: seals, forks, dlopen and signals meet in the middle of each other") {
  constexpr std::pair<const char*, const char*> kTimes[] = {
      {"backend=supervised,coverage=all", "10000"}, {"backend=supervised", "500"}, {"backend=filters", "50"}};
  for (const auto& [options, times] : kTimes) {
    Command command = preloaded(options, {LIVE_PROGRAM, "everything_at_once", times, PLUGINS "/plain.so"});
    command.timeout_s = 600;
    expect_success(run(command));
  }
}

#ifdef MSEAL_TOOL
TEST_CASE("live-long: coverage=all serves thousands of seals to a static program") {
  if (!needs_mseal_to_be_notified()) return;
  const Run result =
      run({{MSEAL_TOOL, "run", "--backend=supervised", "--coverage=all", "--", STATIC_PROGRAM, "many"},
           {},
           {},
           60});
  expect_success(result);
  CHECK(result.err == "");
}
#endif

// 200 of them filled the kernel's room for filters.
TEST_CASE("live-long: more than a thousand images one after the other, each with its seals") {
  if (!needs_personality()) return;  // without another layout each image adds a filter
  for (const auto& [scenario, images] : {std::pair{"exec_chain", "1100"}, std::pair{"fork_chain", "400"}}) {
    Command command = preloaded("backend=supervised,require=supervised", {LIVE_PROGRAM, scenario, images});
    command.timeout_s = 600;
    const Run result = run(command);
    expect_success(result);
    CHECK(result.err == "");
  }
}

// A sanitizer asks for symbols, and so calls the library, before its own functions work.
TEST_CASE("live-long: programs with sanitizers are sealed") {
  const std::string compiler = GENERATE("gcc", "clang");
  const std::string sanitizer = GENERATE("address", "thread", "memory");
  if (compiler == "gcc" && sanitizer == "memory") return;  // clang alone has it
  CAPTURE(compiler, sanitizer);
  const TemporaryPath program("sanitized");
  const Run built =
      run({{compiler, "-fsanitize=" + sanitizer, "-o", program.string(), LIVE_SOURCES "/other_program.c"},
           {},
           {},
           60});
  if (!needs(built.status == 0, compiler + " -fsanitize=" + sanitizer)) return;
  for (const char* options :
       {"backend=supervised", "backend=supervised,coverage=all", "backend=filters", "backend=libc"}) {
    CAPTURE(options);
    Command command = preloaded(options, {program.string()});
    command.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
    expect_success(run(command));
  }
}

}  // namespace
}  // namespace libmseal::tests
