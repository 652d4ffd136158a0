// What hostile programs, names and files do to the supervisor and to the tool.
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/live/tool.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Not even the supervisor of root may raise it.
void limit_for_good(decltype(RLIMIT_CPU) which, rlim_t value) {
  prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
  const rlimit limit{value, value};
  if (setrlimit(which, &limit) != 0) _exit(125);
}

TEST_CASE("hostile: a limit on CPU time does not end the supervisor before its tree") {
  if (!needs_mseal_to_be_notified()) return;
  const TemporaryPath log("cpu.log");
  const Run result =
      run(preloaded("policy=none,backend=supervised,coverage=all,verbose=1,log=" + log.string(),
                    {LIVE_PROGRAM, "keeps_supervisor_busy", "8"}, [] { limit_for_good(RLIMIT_CPU, 1); }));
  expect_success(result);
  CHECK_THAT(text_in(log.string()), ContainsSubstring("whose CPU time is limited"));
}

TEST_CASE("hostile: more than a hundred processes can seal at the same time") {
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all"})
    expect_success(
        run(preloaded(std::string("policy=none,") + options, {LIVE_PROGRAM, "seal_at_once", "150"})));
}

TEST_CASE("hostile: more processes than the supervisor may open files are told apart") {
  for (const char* const coverage : {"fast", "all"}) {
    expect_success(run(
        preloaded(std::string("policy=none,backend=supervised,require=supervised,coverage=") + coverage,
                  {LIVE_PROGRAM, "many_live_children", "200"}, [] { limit_for_good(RLIMIT_NOFILE, 128); })));
  }
}

TEST_CASE("hostile: more programs than the supervisor may open files are sealed by their own filters") {
  const Run result =
      run(preloaded("policy=none,backend=supervised", {LIVE_PROGRAM, "many_live_images", "100"},
                    [] { limit_for_good(RLIMIT_NOFILE, 128); }));
  expect_success(result);
  CHECK_THAT(result.err, ContainsSubstring("has no file descriptor left for another program"));
}

TEST_CASE("hostile: ranges that were too many, or another image's, are not sealed with the next one") {
  scenario("backend=supervised", "wants_too_much");
}

// Refusals in a file of events: those that are there, and those that are only counted.
std::uint64_t refusals_in(const std::string& path) {
  std::uint64_t told = 0;
  std::istringstream lines(text_in(path));
  for (std::string line; std::getline(lines, line);) {
    const json event = json::parse(line);
    if (event.contains("maps")) continue;
    told += event.contains("lost") ? event["lost"].get<std::uint64_t>() : 1;
  }
  return told;
}

TEST_CASE("hostile: refusals by the ten thousand are recorded or counted, however much is mapped") {
  const TemporaryPath events("cost.jsonl");
  expect_success(run(preloaded("policy=none,backend=supervised,events=" + events.string(),
                               {LIVE_PROGRAM, "refusals_among_mappings", "60000", "20000"})));
  eventually([&] { return refusals_in(events.string()) == 2 * 20'000; });
  CHECK(refusals_in(events.string()) == 2 * 20'000);
}

TEST_CASE("hostile: a child counts its own refusals, and not those of its parent again") {
  const TemporaryPath events("forks.jsonl");
  expect_success(run(preloaded("policy=none,backend=supervised,events=" + events.string(),
                               {LIVE_PROGRAM, "forks_among_refusals", "10", "500"})));
  eventually([&] { return refusals_in(events.string()) >= 21 * 500; });
  CHECK(refusals_in(events.string()) == 21 * 500);
}

TEST_CASE("hostile: what a program repeats is left out of the log, and counted") {
  const TemporaryPath log("flood.log");
  expect_success(
      run(preloaded("policy=none,backend=supervised,log=" + log.string(), {LIVE_PROGRAM, "floods_the_log"})));
  // Not its last line: that is among what is left out.
  const std::string text = log_with(log.string(), "lines were left out: too many per second");
  CHECK(count_lines(text) < 2000);
  CHECK_THAT(text, ContainsSubstring("malformed control message"));
}

TEST_CASE("hostile: names of programs steer no terminal, begin no line, and end no string") {
  const TemporaryPath folder("names");
  fs::create_directory(folder.string());
  const TemporaryPath log("names.log");
  const TemporaryPath events("names.jsonl");
  const TemporaryPath policy("names.toml");
  const std::string program = folder.string() + "/a\n[forged] \x1b[2J\"'''\",open=all:*";
  fs::copy_file(LIVE_PROGRAM, program);
  Command command =
      preloaded("policy=none,backend=supervised,log=" + log.string() + ",events=" + events.string(),
                {program, "own_text_is_sealed"});
  command.environment["LD_LIBRARY_PATH"] = fs::path(LIBMSEAL_SO).parent_path().string();
  expect_success(run(command));
  (void)events_in(events.string(), 3);
  const std::string text = whole_log(log.string());
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK_THAT(text, ContainsSubstring("\\x1b[2J"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) CHECK(line.starts_with("[2"));
  const Run report = tool({"report", events.string()});
  CHECK(report.status == 0);
  CHECK(report.out.find('\x1b') == std::string::npos);
  CHECK(report.out.find("\n[forged]") == std::string::npos);
  const json all = json::parse(tool({"report", "--json", events.string()}).out);
  std::ofstream(policy.string()) << std::string(all["policy"]);
  INFO(std::string(all["policy"]));
  const Run check = tool({"policy", "check", policy.string()});
  CHECK(check.err == "");
  CHECK(check.status == 0);
  const Run shown = tool({"policy", "show", program, "--policy", policy.string()});
  CHECK_THAT(shown.out, ContainsSubstring("skip=a?") && !ContainsSubstring("\nopen=all"));
}

TEST_CASE("hostile: status survives what a process has for a table") {
  if (!needs_map_files()) return;
  const std::pair<std::string, std::string> forgeries[] = {
      {"short", "is malformed"},   {"garbage", "is malformed"}, {"empty", ""},
      {"pointer", "is malformed"}, {"counts", "is malformed"},  {"writing", "half-written"}};
  for (const auto& [kind, said] : forgeries) {
    INFO(kind);
    const std::string script =
        "coproc P { exec env LD_PRELOAD=" LIBMSEAL_SO
        " MSEAL_OPTIONS=policy=none,backend=supervised " LIVE_PROGRAM " forges_a_table " +
        kind +
        "; }; read -r pid <&${P[0]}; " MSEAL_TOOL " status $pid > /dev/null; one=$?; " MSEAL_TOOL
        " status > /dev/null; exit $one";
    const Run result = run({{"/bin/bash", "-c", script}, {}, {}, 60});
    INFO(result.err);
    CHECK(result.status == (said.empty() ? 0 : 2));
    CHECK_THAT(result.err, ContainsSubstring(said));
  }
}

TEST_CASE("hostile: report and policy check read what is no file, has no end, or is garbage") {
  const TemporaryPath pipe("pipe");
  const TemporaryPath line("line");
  const TemporaryPath garbage("garbage");
  REQUIRE(::mkfifo(pipe.string().c_str(), 0600) == 0);
  std::ofstream(line.string()) << "{";
  fs::resize_file(line.string(), std::uintmax_t{1} << 30);
  std::ofstream(garbage.string()) << "\x1b\x80\xff\n\n";
  const auto says = [](const std::vector<std::string>& arguments, const std::string& what) {
    std::vector<std::string> all{MSEAL_TOOL};
    all.insert(all.end(), arguments.begin(), arguments.end());
    Command command{all, {}, {}, 30};
    command.prepare = [] {
      const rlimit memory{rlim_t{1} << 29, rlim_t{1} << 29};
      setrlimit(RLIMIT_AS, &memory);
    };
    const Run result = run(command);
    INFO(arguments.back() << ": " << result.err);
    CHECK(result.status == 2);
    CHECK_THAT(result.err, ContainsSubstring(what));
  };
  says({"report", pipe.string()}, "no data arrived in time");
  says({"report", "/dev/zero"}, "line 1 has more than");
  says({"report", line.string()}, "line 1 has more than");
  says({"report", "/dev/urandom"}, "line 1");
  says({"report", garbage.string()}, "line 1: not an event of libmseal");
  says({"policy", "check", "/dev/zero"}, "it has more than");
  // An object that an event names is anything, too.
  std::ofstream(garbage.string())
      << R"({"time":"t","pid":1,"tid":1,"program":"p","verdict":"refused","call":"munmap","number":11,"start":"0x1000","end":"0x2000","sealed":{"address":"0x1","object":")"
      << pipe.string()
      << R"(","offset":"0x0","protection":"r--p"},"site":{"address":"0x1","object":"/dev/zero","offset":"0x0","protection":"r-xp"}})"
      << "\n";
  const Run report = tool({"report", garbage.string()});
  CHECK(report.status == 0);
  // A pipe into which nothing is written before the tool waits for it.
  const std::string late =
      "until [[ $(< /proc/$$/stat) == *'(mseal) S'* ]]; do :; done; cat " + garbage.string();
  const Run piped = run({{"/bin/bash", "-c", "exec " MSEAL_TOOL " report <(" + late + ")"}, {}, {}, 30});
  CHECK(piped.out == report.out);
}

}  // namespace
}  // namespace libmseal::tests
