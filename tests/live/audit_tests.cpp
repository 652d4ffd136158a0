// mode=audit, and the records of what is refused.
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/live/sealed.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/filters.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: an audit refuses nothing and records everything, with the place that each call comes from") {
  const TemporaryPath events("audit.jsonl");
  Command command = preloaded("backend=supervised,mode=audit,events=" + events.string(),
                              {LIVE_PROGRAM, "audit_refuses_nothing"});
  const bool by_ptrace = GENERATE(false, true);
  if (by_ptrace) command.prepare = install_other_listener;
  const Run result = run(command);
  expect_success(result);
  CHECK(by_ptrace == (result.err.find("traces the program by ptrace") != std::string::npos));
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

TEST_CASE("live: an audit by ptrace records what programs of the tree do, and changes nothing of them") {
  const Command plain{{"/usr/bin/python3", LIVE_SOURCES "/job_control.py"}, {}, {}, 60};
  const TemporaryPath events("traced.jsonl");
  Command traced =
      preloaded("backend=supervised,mode=audit,events=" + events.string(),
                {"/bin/sh", "-c",
                 std::string("/usr/bin/python3 " LIVE_SOURCES "/job_control.py; ") + LIVE_PROGRAM +
                     " audit_refuses_nothing; " + LIVE_PROGRAM + " audit_refuses_nothing"});
  traced.prepare = install_other_listener;
  const Run result = run(traced);
  expect_success(result);
  CHECK(result.out == run(plain).out);
  CHECK(count_in(events_in(events.string(), 12), "\"verdict\":\"would refuse\"") == 12);
}

TEST_CASE("live: an audit that begins late changes nothing for threads that run or sleep") {
  Command command = preloaded("backend=supervised,mode=audit,auto=off,events=/dev/null",
                              {LIVE_PROGRAM, "audit_begins_late"});
  if (GENERATE(false, true)) command.prepare = install_other_listener;
  expect_success(run(command));
}

TEST_CASE("live: an audit by ptrace leaves programs alone that can't reach its supervisor") {
  if (!needs(::geteuid() == 0, "root, for another user")) return;
  const std::vector<std::string> starts[] = {{"/usr/bin/setpriv", "--reuid=65534", "--clear-groups"},
                                             {"/usr/bin/unshare", "-pf", "--mount-proc"}};
  for (const std::vector<std::string>& start : starts) {
    const bool is_by_user = start[0] == "/usr/bin/setpriv";
    if (is_by_user ? !needs_ptrace_capability()
                   : !needs_unshare(CLONE_NEWPID | CLONE_NEWNS, "a pid namespace"))
      continue;
    std::vector<std::string> words = start;
    words.insert(words.end(), {"/bin/sh", "-c", "/bin/echo works"});
    const Run result =
        run(preloaded("backend=supervised,mode=audit,events=/dev/null", words, install_other_listener));
    expect_success(result);
    CHECK(result.out == "works\n");
    CHECK_THAT(result.err,
               ContainsSubstring("this program is not audited: this process is traced by a supervisor"));
  }
}

TEST_CASE("live: an audit by ptrace of a program that is traced already is not started") {
  Command command = preloaded("backend=supervised,mode=audit,events=/dev/null", {"/bin/echo", "never"});
  command.prepare = [] {
    install_other_listener();
    // The tracer is a fork of this process, which lets it go on until it ends.
    int attached[2];
    if (::pipe(attached) != 0) ::_exit(125);
    const pid_t program = ::getpid();
    if (::fork() == 0) {
      if (::ptrace(PTRACE_SEIZE, program, nullptr, nullptr) != 0) ::_exit(1);
      (void)!::write(attached[1], "x", 1);
      int status = 0;
      while (::waitpid(program, &status, __WALL) == program && WIFSTOPPED(status)) {
        const int signal = status >> 16 == 0 ? WSTOPSIG(status) : 0;
        (void)::ptrace(PTRACE_CONT, program, nullptr, signal);
      }
      ::_exit(0);
    }
    char byte = 0;
    if (::read(attached[0], &byte, 1) != 1) ::_exit(125);
  };
  const Run result = run(command);
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err, ContainsSubstring("the supervisor is not allowed to trace the program"));
}

TEST_CASE("live: refusals are recorded with the place that each call comes from") {
  for (const char* coverage : {"fast", "all"}) {
    const TemporaryPath events("enforce.jsonl");
    expect_success(
        run(preloaded(std::string("backend=supervised,coverage=") + coverage + ",events=" + events.string(),
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
  const Run result = run(preloaded("backend=filters,mode=audit", {"/bin/echo", "never"}));
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err, ContainsSubstring("mode=audit cannot be met"));
}

}  // namespace
}  // namespace libmseal::tests
