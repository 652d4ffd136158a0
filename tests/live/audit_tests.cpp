// mode=audit, and the records of what is refused.
#include <filesystem>
#include <string>

#include "tests/live/runs.h"
#include "tests/live/sealed.h"
#include "tests/support/catch.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: an audit refuses nothing and records everything, with the place that each call comes from") {
  const TemporaryPath events("audit.jsonl");
  expect_success(run(preloaded("backend=seccomp,mode=audit,events=" + events.string(),
                               {LIVE_PROGRAM, "audit_refuses_nothing"})));
  const std::string text = events_in(events.string(), 6);
  INFO(text);
  CHECK(count_lines(text) == 6);  // the discard of writable memory is none
  for (const char* call : {"mprotect", "munmap", "mmap"}) {
    CHECK(count_in(text, std::string("\"call\":\"") + call + "\"") == 2);
  }
  CHECK(count_in(text, "\"verdict\":\"would refuse\"") == count_lines(text));
  const std::string program = std::filesystem::canonical(LIVE_PROGRAM);
  CHECK(count_in(text, "\"site\":{\"address\":\"0x") == count_lines(text));
  CHECK(count_in(text, "\"object\":\"" + program + "\"") ==
        count_lines(text));  // the site, not libc's wrapper
  CHECK(text.find("libmseal.so") == std::string::npos);
}

TEST_CASE("live: refusals are recorded with the place that each call comes from") {
  for (const char* coverage : {"fast", "all"}) {
    const TemporaryPath events("enforce.jsonl");
    expect_success(
        run(preloaded(std::string("backend=seccomp,coverage=") + coverage + ",events=" + events.string(),
                      {LIVE_PROGRAM, "own_text_is_sealed"})));
    // A raw call that a filter refuses is told of by nobody.
    constexpr long kWays = kTextIsWatched ? 2 : 1;
    const std::string text = events_in(events.string(), 3 * kWays);
    INFO(text);
    CHECK(count_lines(text) == 3 * kWays);
    CHECK(count_in(text, "\"verdict\":\"refused\"") == 3 * kWays);
    CHECK(count_in(text, "\"0x1000\",\"0x7\"") == kWays);  // the protection that mprotect asked for
    CHECK(count_in(text, "\"0x1000\",\"0x4\"") == kWays);  // MADV_DONTNEED
    // Both the sealed object and the site are the program.
    CHECK(count_in(text, "\"object\":\"" + std::string(std::filesystem::canonical(LIVE_PROGRAM)) + "\"") ==
          6 * kWays);
  }
}

TEST_CASE("live: an audit that can't be had ends the program") {
  const Run result = run(preloaded("backend=filter,mode=audit", {"/bin/echo", "never"}));
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err, ContainsSubstring("mode=audit cannot be met"));
}

}  // namespace
}  // namespace libmseal::tests
