// Sealing in programs whose own filters allow next to nothing.
#include <asm/unistd.h>

#include <fstream>
#include <string>

#include "policy/rules/abi.h"
#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: a program seals under its own filter, which refuses, traps or kills") {
  for (const std::string options : {"backend=supervised", "backend=supervised,coverage=all"}) {
    for (const char* name : {"seals_in_a_sandbox", "seals_under_a_broker", "seals_in_a_sandbox_with_threads",
                             "seals_without_descriptors", "late_object_in_a_sandbox"}) {
      Command command = preloaded(options, {LIVE_PROGRAM, name, PLUGINS "/nodelete.so"});
      if (!mseal_is_notified()) command.environment["SEALS_BY_MMAP"] = "1";
      expect_success(run(command));
    }
  }
}

TEST_CASE("live: a program whose own filter kills callers of mseal(2) can still seal") {
  const TemporaryPath events("events.jsonl");
  const std::string options = GENERATE("backend=supervised", "backend=supervised,late=all",
                                       "backend=supervised,coverage=all", "backend=supervised,events=EVENTS",
                                       "backend=supervised,coverage=all,events=EVENTS", "backend=filters");
  const std::string way = GENERATE("prctl", "syscall");
  INFO(options << ", by " << way);
  std::string given = "policy=none," + options;
  if (const auto at = given.find("EVENTS"); at != std::string::npos) given.replace(at, 6, events.string());
  expect_success(
      run(preloaded(given, {LIVE_PROGRAM, "own_filter_kills_for_mseal", PLUGINS "/nodelete.so", way})));
}

TEST_CASE(
    "live: a program whose own filter kills callers of all that sealing needs runs on, and seals no more") {
  const TemporaryPath events("events.jsonl");
  const std::string options =
      GENERATE("backend=supervised", "backend=supervised,coverage=all", "backend=filters",
               "backend=supervised,late=all,events=EVENTS", "backend=libc", "backend=supervised,auto=off");
  INFO(options);
  std::string given = "policy=none," + options;
  if (const auto at = given.find("EVENTS"); at != std::string::npos) given.replace(at, 6, events.string());
  expect_success(run(preloaded(given, {LIVE_PROGRAM, "own_filter_kills_for_all", PLUGINS "/nodelete.so"})));
}

TEST_CASE(
    "live: a program is not killed if it is executed under a filter that kills callers of what the library "
    "calls") {
  const auto [options, kind, outcome] = GENERATE(table<std::string, std::string, std::string>(
      {{"backend=supervised", "mseal", "sealed"},
       {"backend=supervised", "mseal, by a trap", "sealed"},
       {"backend=supervised", "mseal, then kcmp", "sealed"},
       {"backend=supervised", "ptrace", "sealed"},
       {"backend=supervised", "seccomp", kTextIsWatched ? "at start" : "by libc"},
       {"backend=supervised", "all else", "unsealed"},
       {"backend=supervised,coverage=all", "mseal", "sealed"},
       {"backend=supervised,coverage=all", "all else", "unsealed"},
       {"backend=filters", "mseal", "sealed"},
       {"backend=filters", "ptrace", "at start"},  // later, other threads have to be stopped
       {"backend=filters", "all else", "unsealed"}}));
  INFO(options << ", " << kind);
  const Run result =
      run(preloaded("policy=none," + options, {LIVE_PROGRAM, "executes_under_own_filter", kind, outcome}));
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK((result.err.find("seccomp filter") != std::string::npos) == (outcome != "sealed"));
}

TEST_CASE(
    "live: a filter that kills callers of what the supervisor can do without keeps no program from its "
    "policy") {
  const TemporaryPath policy("policy.toml");
  std::ofstream(policy.string())
      << "auto = \"elf\"\n[[program]]\nname = \"own_data_program\"\nauto = \"off\"\n";
  const Run result = run(
      preloaded("policy=none,auto=off", {LIVE_PROGRAM, "starts_tree_under_own_filter",
                                         "backend=supervised,policy=" + policy.string(), OWN_DATA_PROGRAM}));
  INFO(result.err);
  CHECK(result.out == kUnsealed);
  CHECK(result.err == "");
}

TEST_CASE("live: a program that is executed under such a filter reads policy files, or says why not") {
  const TemporaryPath policy("policy.toml");
  std::ofstream(policy.string()) << "auto = \"elf\"\n";
  // Under `filters` a supervisor would have to be started to read them.
  const auto [options, why_not] = GENERATE(table<std::string, std::string>(
      {{"backend=supervised", ""},
       {"backend=filters", "the policy files are not read: can't create a process for the supervisor"}}));
  INFO(options);
  const Run result = run(preloaded("policy=" + policy.string() + "," + options,
                                   {LIVE_PROGRAM, "executes_under_own_filter", "socketpair", "sealed"}));
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK(count_lines(result.err) == (why_not.empty() ? 0 : 1));
  CHECK_THAT(result.err, ContainsSubstring(why_not));
}

TEST_CASE("live: harden= under such a filter is met, or the program is not started") {
  for (const char* options : {"backend=supervised", "backend=filters"}) {
    expect_success(run(preloaded(std::string("policy=none,harden=ptrace,") + options,
                                 {LIVE_PROGRAM, "executes_under_own_filter", "mseal", "hardened"})));
  }
  const Run result = run(preloaded("policy=none,backend=supervised,harden=ptrace",
                                   {LIVE_PROGRAM, "executes_under_own_filter", "ptrace", "sealed"}));
  CHECK(result.status == 127);
  CHECK_THAT(result.err, ContainsSubstring("harden= cannot be met"));
}

TEST_CASE(
    "live: the library finds out what the program's own filters kill, filter by filter and thread by "
    "thread") {
  const std::string scenario =
      GENERATE("sandbox_in_stages", "own_filter_traps", "own_filter_of_one_thread",
               "filters_that_are_refused", "own_filter_checks_arguments", "own_filter_answers_sigprocmask");
  INFO(scenario);
  expect_success(
      run(preloaded("policy=none,backend=supervised", {LIVE_PROGRAM, scenario, PLUGINS "/nodelete.so"})));
}

TEST_CASE("live: a filter of the program that asks a listener about seccomp(2) does not hang it") {
  for (const char* options : {"backend=libc", "backend=supervised,auto=off", "backend=filters,auto=off"}) {
    Command command =
        preloaded(std::string("policy=none,") + options, {LIVE_PROGRAM, "own_filter_notifies_of_seccomp"});
    command.timeout_s = 20;
    expect_success(run(command));
  }
}

TEST_CASE("live: filters of a vfork child do not count as the program's") {
  expect_success(run(preloaded("backend=supervised", {LIVE_PROGRAM, "filter_of_vfork_child"})));
}

TEST_CASE("live: a filter that answers EINTR for ever does not hang the library") {
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"})
    expect_success(run(preloaded(options, {LIVE_PROGRAM, "answered_eintr"})));
}

TEST_CASE("live: a filter that pretends that calls succeed makes no seal that is none") {
  const std::string options =
      GENERATE("backend=supervised", "backend=supervised,coverage=all", "backend=filters");
  const std::string number = GENERATE(std::to_string(policy::kMsealNumber), std::to_string(__NR_seccomp));
  INFO(options << " " << number);
  expect_success(run(preloaded(options, {LIVE_PROGRAM, "seals_nothing_by_pretence", number})));
}

}  // namespace
}  // namespace libmseal::tests
