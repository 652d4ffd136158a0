// The mseal tool.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

using nlohmann::json;

// What OWN_DATA_PROGRAM says when it may change all of itself.
const std::string kAll = "text constants data bss mutable mutable_too vdso \n";

Run tool(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), MSEAL_TOOL);
  return run({std::move(arguments), {}, {}, 60});
}

TEST_CASE("live: coverage=all serves mseal to programs that no preload reaches") {
  const auto served = [](const std::string& program) {
    const Run result =
        run({{MSEAL_TOOL, "run", "--backend=seccomp", "--coverage=all", "--", program, "few"}, {}, {}, 60});
    expect_success(result);
    CHECK(result.err == "");
  };
  served(STATIC_PROGRAM);
  const TemporaryPath musl("musl");
  const Run built = run({{"musl-gcc", "-static", "-o", musl.string(), STATIC_PROGRAM_SOURCE}, {}, {}, 60});
  if (needs(built.status == 0, "musl-gcc, of musl-tools")) served(musl.string());
}

TEST_CASE("live: programs of musl are sealed by the same library") {
  const TemporaryPath program("musl");
  const Run built = run({{"musl-gcc", "-o", program.string(), MUSL_PROGRAM_SOURCE}, {}, {}, 60});
  if (!needs(built.status == 0, "musl-gcc, of musl-tools")) return;
  for (const char* backend : {"seccomp", "filter", "libc"}) {
    CAPTURE(backend);
    expect_success(run(preloaded(std::string("backend=") + backend, {program.string()})));
  }
  const Run by_tool = run({{MSEAL_TOOL, "run", "--backend=seccomp", "--", program.string()}, {}, {}, 60});
  expect_success(by_tool);
  CHECK(by_tool.err == "");
}

TEST_CASE("live: coverage=all leaves programs that seal nothing alone") {
  const Run result = run({{MSEAL_TOOL, "run", "--backend=seccomp", "--coverage=all", "--", "/bin/bash", "-c",
                           "for i in 1 2 3 4 5; do (echo $i | cat); done; ls / > /dev/null; echo done"},
                          {},
                          {},
                          60});
  CHECK(result.out == "1\n2\n3\n4\n5\ndone\n");
  CHECK(result.err == "");
}

TEST_CASE("live: coverage=all leaves a static shell and its children alone") {
  const Run there = run({{"busybox", "true"}, {}, {}, 60});
  if (!needs(there.status == 0, "busybox-static")) return;
  const Run result = tool({"run", "--backend=seccomp", "--coverage=all", "--", "busybox", "sh", "-c",
                           "for i in 1 2 3; do echo $i | busybox cat; done; busybox ls / | busybox wc -l > "
                           "/dev/null; (exec busybox echo done)"});
  CHECK(result.out == "1\n2\n3\ndone\n");
  CHECK(result.err == "");
}

TEST_CASE("tool: run starts a program under the library, with its options and its exit status") {
  const Run sealed = tool({"run", "--backend=seccomp", "--auto", "data", "--", OWN_DATA_PROGRAM});
  CHECK(sealed.out == "mutable mutable_too vdso \n");
  CHECK(sealed.err == "");
  CHECK(tool({"run", "--backend=seccomp", "/bin/sh", "-c", "exit 7"}).status == 7);
  CHECK(tool({"run", "/nonexistent/program"}).status == 127);
  const Run bad = tool({"run", "--backend=magic", "/bin/true"});
  CHECK(bad.status == 2);
  CHECK_THAT(bad.err, ContainsSubstring("--backend=magic is not understood; allowed: auto, kernel, seccomp"));
  CHECK(tool({"run", "--colour", "/bin/true"}).status == 2);
  CHECK(tool({"run"}).status == 2);
  CHECK(tool({}).status == 2);
}

TEST_CASE("tool: run says which programs it does not reach, and what to do") {
  const Run served = tool({"run", "--backend=seccomp", "--coverage=all", STATIC_PROGRAM, "few"});
  CHECK(served.err == "");
  const Run unreached = tool({"run", "--backend=seccomp", STATIC_PROGRAM, "few"});
  CHECK_THAT(unreached.err, ContainsSubstring("is static, so LD_PRELOAD does not reach it") &&
                                ContainsSubstring("--coverage=all"));
  CHECK(tool({"run", "-q", "--backend=seccomp", STATIC_PROGRAM, "few"}).err.find("is static") ==
        std::string::npos);
  const TemporaryPath script("script");
  std::ofstream(script.string()) << "#!" << STATIC_PROGRAM << "\n";
  std::filesystem::permissions(script.string(), std::filesystem::perms(0755));
  CHECK_THAT(tool({"run", "--backend=seccomp", script.string()}).err, ContainsSubstring("is static"));
}

TEST_CASE("tool: check says what the kernel offers, for people and for programs") {
  const Run text = tool({"check"});
  CHECK(text.status == 0);
  CHECK(text.err == "");
  CHECK_THAT(text.out, ContainsSubstring("seccomp listener     yes") && ContainsSubstring("backend "));
  const json all = json::parse(tool({"check", "--json"}).out);
  CHECK(all["features"]["seccomp filters"] == true);
  const bool native = all["features"]["mseal(2)"];
  CHECK(all["backend"] == (native ? "kernel" : "seccomp"));
}

// A sealed program that waits.
class Sleeper {
 public:
  explicit Sleeper(const std::string& options) : process_(fork()) {
    if (process_ == 0) {
      setenv("LD_PRELOAD", LIBMSEAL_SO, 1);
      setenv("MSEAL_OPTIONS", options.c_str(), 1);
      execl("/bin/sleep", "sleep", "60", nullptr);
      _exit(126);
    }
    usleep(300'000);
  }
  ~Sleeper() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  [[nodiscard]] std::string id() const { return std::to_string(process_); }

 private:
  pid_t process_;
};

TEST_CASE("tool: status shows what of a process is sealed") {
  const Sleeper sealed("backend=seccomp");
  const Run text = tool({"status", sealed.id()});
  INFO(text.err);
  CHECK(text.status == 0);
  CHECK_THAT(text.out, ContainsSubstring("KiB sealed in ") && ContainsSubstring("under a supervisor"));
  CHECK(text.out.find('\033') == std::string::npos);  // no terminal, no colour
  const json all = json::parse(tool({"status", "--json", sealed.id()}).out);
  CHECK(all["supervised"] == true);
  long text_segments = 0;
  for (const json& line : all["maps"]) {
    const std::string name = line["name"];
    if (name.ends_with("/sleep") && line["state"] == "sealed") ++text_segments;
    if (name == "[stack]") CHECK(line["state"] == "-");
  }
  CHECK(text_segments >= 3);

  const json everybody = json::parse(tool({"status", "--json"}).out);
  CHECK(std::count_if(everybody.begin(), everybody.end(), [&](const json& one) {
          return one["pid"] == std::stoi(sealed.id()) && one["sealed_bytes"] == all["sealed_bytes"];
        }) == 1);
  CHECK_THAT(tool({"status"}).out, ContainsSubstring(sealed.id() + " ") && ContainsSubstring("/sleep\n"));

  const Sleeper unsealed("auto=off");
  CHECK(tool({"status", unsealed.id()}).status == 1);
  CHECK(tool({"status", "999999999"}).status == 2);
  CHECK(tool({"status", "nobody"}).status == 2);
}

TEST_CASE("tool: report groups what an audit found, and names what would allow it") {
  const TemporaryPath events("report.jsonl");
  const TemporaryPath policy("report.toml");
  const Run audit =
      tool({"run", "--mode=audit", "--events", events.string(), "--auto=data", OWN_DATA_PROGRAM});
  expect_success(audit);
  CHECK(audit.out == kAll);
  (void)events_in(events.string(), 4);
  const Run text = tool({"report", events.string()});
  CHECK(text.status == 0);
  CHECK_THAT(text.out, ContainsSubstring("to allow it: skip=own_data_program") &&
                           ContainsSubstring("to allow it: mutable=own_data_program") &&
                           ContainsSubstring("events: 4, kinds: 4"));
  const json all = json::parse(tool({"report", "--json", events.string()}).out);
  CHECK(all["events"] == 4);
  std::set<std::string> sections;
  for (const json& finding : all["findings"]) {
    sections.insert(finding["section"]);
    const std::string site = finding["site"];  // the function in the program, not libc's wrapper
    CHECK_THAT(site, ContainsSubstring("own_data_program try_to_protect+0x"));
  }
  // By the page: that of .text begins with another section, and .bss has no place in the file.
  CHECK((sections.contains(".data") && sections.contains(".rodata")));
  const Run page = tool({"report", "--html", events.string()});
  CHECK_THAT(page.out, ContainsSubstring("<svg") && ContainsSubstring("</html>") &&
                           !ContainsSubstring("http://") && !ContainsSubstring("<script src"));

  // The policy that it proposes is one, and does allow what was found.
  std::ofstream(policy.string()) << std::string(all["policy"]);
  CHECK(tool({"policy", "check", policy.string()}).status == 0);
  const Run allowed =
      tool({"run", "--backend=seccomp", "--auto=data", "--policy", policy.string(), OWN_DATA_PROGRAM});
  CHECK(allowed.out == kAll);

  std::ofstream(events.string()) << "";
  CHECK(tool({"report", events.string()}).status == 1);
  std::ofstream(events.string()) << "{\"no\": \"event\"}\n";
  const Run bad = tool({"report", events.string()});
  CHECK(bad.status == 2);
  CHECK_THAT(bad.err, ContainsSubstring("line 1: not an event of libmseal"));
}

TEST_CASE("tool: policy check and policy show") {
  const TemporaryPath file("policy.toml");
  std::ofstream(file.string()) << "auto = \"elf\"\n[[program]]\nname = \"sleep\"\nauto = \"data\"\n";
  const Run good = tool({"policy", "check", file.string()});
  CHECK(good.status == 0);
  CHECK(good.out + good.err == "");
  CHECK_THAT(tool({"policy", "show", "/bin/sleep", "--policy", file.string()}).out,
             ContainsSubstring("auto=elf\nauto=data\n"));
  std::ofstream(file.string()) << "auto = \"elv\"\n";
  const Run bad = tool({"policy", "check", file.string()});
  CHECK(bad.status == 2);
  CHECK(bad.err == file.string() + ":1:8: 'elv' is not understood; allowed: off, marked, elf, data\n");
  CHECK(tool({"policy", "check", "/nonexistent/policy.toml"}).status == 2);
}

TEST_CASE("tool: bash completes commands and options") {
  const auto completed = [](const std::string& line) {
    Command command{{"/bin/bash", "-c",
                     "source " TOOL_COMPLETION "; COMP_WORDS=(" + line +
                         " ''); if [[ ${COMP_WORDS[-2]} == --* ]]; then unset 'COMP_WORDS[-1]'; fi; "
                         "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _mseal; echo ${COMPREPLY[*]}"},
                    {{"PATH", std::filesystem::path(MSEAL_TOOL).parent_path().string() + ":/usr/bin:/bin"}},
                    {},
                    60};
    const Run result = run(command);
    INFO(result.err);
    CHECK(result.err == "");
    return result.out;
  };
  CHECK(completed("mseal") == "run check status report policy --help --version\n");
  CHECK(completed("mseal run --cov") == "--coverage\n");
  CHECK(completed("mseal policy") == "check show --help\n");
  CHECK_THAT(completed("mseal run --"),
             ContainsSubstring("--mode") && ContainsSubstring("--policy") && ContainsSubstring("--harden"));
}

}  // namespace
}  // namespace libmseal::tests
