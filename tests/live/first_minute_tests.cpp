// What a newcomer types into the mseal tool first.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

using Catch::Matchers::StartsWith;
using nlohmann::json;

Run tool(std::vector<std::string> arguments, const std::string& options = "") {
  arguments.insert(arguments.begin(), MSEAL_TOOL);
  return run({std::move(arguments), {{"MSEAL_OPTIONS", options}}, {}, 60});
}

void refuses(std::vector<std::string> arguments, const std::string& why, const std::string& options = "") {
  const Run result = tool(std::move(arguments), options);
  INFO(why << ": " << result.out << result.err);
  CHECK(result.status == 2);
  CHECK(result.out == "");
  CHECK_THAT(result.err, StartsWith("mseal: ") && ContainsSubstring(why));
  CHECK_THAT(result.err, !ContainsSubstring("[json") && !ContainsSubstring("exception"));
}

TEST_CASE("tool: says its version") {
  const Run result = tool({"--version"});
  CHECK(result.status == 0);
  CHECK_THAT(result.out, StartsWith("mseal ") && ContainsSubstring(", layout "));
}

TEST_CASE("tool: a library of another version is not used, and one line says so") {
  namespace fs = std::filesystem;
  const TemporaryPath folder("versions");
  fs::create_directory(folder.string());
  const std::string copy = folder.string() + "/mseal";
  fs::copy_file(MSEAL_TOOL, copy);
  fs::copy_file(MSEAL_SUPERVISOR, folder.string() + "/mseal-supervisor");
  std::string library = text_in(LIBMSEAL_SO);
  const auto run_with = [&](const std::string& bytes) {
    std::ofstream(folder.string() + "/libmseal.so", std::ios::binary) << bytes;
    return run({{copy, "run", "--backend=seccomp", "/bin/echo", "runs"}, {}, {}, 60});
  };
  CHECK(run_with(library).out == "runs\n");
  const std::string name("libmseal\0\0\0\0", 12);  // in the note, before the version
  const std::size_t at = library.find(name);
  REQUIRE(at != std::string::npos);
  ++library[at + name.size()];
  const Run other = run_with(library);
  CHECK(other.status == 2);
  CHECK(other.out == "");
  CHECK(count_lines(other.err) == 1);
  CHECK_THAT(other.err, ContainsSubstring("libmseal.so is of another version (layout "));
}

TEST_CASE("tool: run refuses what could not work, in words") {
  const TemporaryPath bad("bad.toml");
  std::ofstream(bad.string()) << "auto = \"elv\"\n";
  const std::vector<std::string> never{"/bin/echo", "never"};
  const auto with = [&](std::vector<std::string> options) {
    options.insert(options.begin(), "run");
    options.insert(options.end(), never.begin(), never.end());
    return options;
  };
  refuses(with({"--backend=filter", "--require=kernel"}), "require=kernel is stronger than backend=filter");
  refuses(with({"--require=seccomp"}), "require=seccomp is stronger than backend=libc", "backend=libc");
  refuses(with({"--policy=/nonexistent/policy.toml"}),
          "/nonexistent/policy.toml can't be read: No such file");
  refuses(with({"--policy=/tmp"}), "it is a folder");
  const Run wrong = tool(with({"--policy", bad.string()}));
  CHECK(wrong.status == 2);
  CHECK(wrong.out == "");
  CHECK_THAT(wrong.err, ContainsSubstring("bad.toml:1:8: 'elv' is not understood") &&
                            ContainsSubstring("the program is not started"));

  CHECK(tool({"run", "--strict", "--backend=seccomp", "/bin/echo", "runs"}).out == "runs\n");
  const Run strict = tool({"run", "--strict", "/bin/echo", "never"}, "colour=red");
  CHECK(strict.status == 127);
  CHECK(strict.out == "");
}

TEST_CASE("tool: an audit whose records can't be written ends with status 2") {
  const TemporaryPath pipe("fifo");
  REQUIRE(::mkfifo(pipe.string().c_str(), 0600) == 0);
  for (const std::string& file : {std::string("/nonexistent/events"), std::string("/proc"), pipe.string()}) {
    for (const std::string key : {"--events=", "--log="}) {
      refuses({"run", "--mode=audit", key + file, "/bin/echo", "never"}, "the program is not started");
    }
  }
  // The same where a policy file says that it is an audit.
  const TemporaryPath policy("audit.toml");
  std::ofstream(policy.string()) << "mode = 'audit'\nevents = '/nonexistent/events'\n";
  refuses({"run", "--policy", policy.string(), "/bin/echo", "never"}, "the program is not started");
  // In enforce the program runs, and the library says it.
  const Run result = tool({"run", "--backend=seccomp", "--events=" + pipe.string(), "/bin/echo", "runs"});
  CHECK(result.out == "runs\n");
  CHECK_THAT(result.err, ContainsSubstring("a pipe that nobody reads"));
}

TEST_CASE("tool: status and report say in words what is wrong") {
  refuses({"status", "abc"}, "'abc' is no process id");
  refuses({"status", "0"}, "'0' is no process id");
  refuses({"status", "12x"}, "'12x' is no process id");
  refuses({"report", "/nonexistent/events"}, "can't be read: No such file");
  refuses({"report", "/tmp"}, "it is a folder");
  const TemporaryPath events("events.jsonl");
  for (const auto& [line, why] :
       {std::pair("{\"time\"", "it is no JSON"), std::pair("{\"time\":1}", "a part of it is missing"),
        std::pair("{\"program\":1}", "a part of it is of the wrong kind"),
        std::pair("7", "a part of it is of the wrong kind")}) {
    std::ofstream(events.string()) << "\n" << line << "\n";
    refuses({"report", events.string()}, std::string("line 2: not an event of libmseal: ") + why);
  }
}

TEST_CASE("tool: report tells of events that are missing in the file") {
  const TemporaryPath events("lost.jsonl");
  std::ofstream(events.string()) << "{\"time\":\"t\",\"lost\":7,\"why\":\"too many a second\"}\n";
  const Run text = tool({"report", events.string()});
  CHECK(text.status == 1);
  CHECK_THAT(text.out,
             ContainsSubstring("7 more events are missing") && !ContainsSubstring("nothing was refused"));
  CHECK(json::parse(tool({"report", "--json", events.string()}).out)["lost"] == 7);
}

TEST_CASE("tool: check goes by MSEAL_OPTIONS, and says so") {
  const Run weak = tool({"check"}, "policy=none,backend=filter");
  CHECK(weak.status == 1);
  CHECK_THAT(weak.out,
             ContainsSubstring("with MSEAL_OPTIONS=policy=none,backend=filter:\nbackend filter on Linux"));
  const Run strong = tool({"check"}, "policy=none,backend=seccomp,auto=off");
  CHECK(strong.status == 0);
  CHECK_THAT(strong.out, ContainsSubstring("backend seccomp on Linux"));
  CHECK(json::parse(tool({"check", "--json"}, "policy=none,backend=libc").out)["backend"] == "libc");
  const Run never = tool({"check"}, "policy=none,backend=filter,require=kernel");
  CHECK(never.status == 1);
  CHECK_THAT(never.out, ContainsSubstring("require=kernel cannot be met"));
}

TEST_CASE("tool: without /proc") {
  if (!needs(::geteuid() == 0, "root, to hide /proc")) return;
  const auto hidden = [](const std::string& command) {
    return run({{"unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc && exec " + command}, {}, {}, 60});
  };
  const Run check = hidden(std::string(MSEAL_TOOL) + " check");
  INFO(check.err);
  if (!needs(check.err.find("unshare:") == std::string::npos, "mount namespaces")) return;
  CHECK(check.status == 1);
  CHECK(check.err == "");
  CHECK_THAT(check.out, ContainsSubstring("/proc                no: nothing can be sealed") &&
                            ContainsSubstring("the loaded objects are not sealed"));
  const Run ran = hidden(std::string(MSEAL_TOOL) + " run --backend=seccomp --coverage=all -- /bin/echo runs");
  CHECK(ran.out == "runs\n");
  CHECK(count_lines(ran.err) == 2);
  CHECK_THAT(hidden(std::string(MSEAL_TOOL) + " status").err, ContainsSubstring("/proc is not mounted"));
}

TEST_CASE("tool: bash completes the values of options, and commands only where commands go") {
  // The words as bash has them: it breaks at =.
  const auto completed = [](const std::string& words) {
    Command command{{"/bin/bash", "-c",
                     "source " TOOL_COMPLETION "; COMP_WORDS=(" + words +
                         "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _mseal; echo ${COMPREPLY[*]}"},
                    {{"PATH", std::filesystem::path(MSEAL_TOOL).parent_path().string() + ":/usr/bin:/bin"}},
                    {},
                    60};
    const Run result = run(command);
    INFO(words << ": " << result.err);
    CHECK(result.err == "");
    return result.out;
  };
  CHECK(completed("mseal run --backend ''") == "auto kernel seccomp filter libc\n");
  CHECK(completed("mseal run --backend se") == "seccomp\n");
  CHECK(completed("mseal run --backend = ''") == "auto kernel seccomp filter libc\n");
  CHECK(completed("mseal run --backend =") == "auto kernel seccomp filter libc\n");
  CHECK(completed("mseal run --backend = f") == "filter\n");
  CHECK(completed("mseal run --harden ptrace+proc") == "ptrace+process_vm_writev ptrace+proc_mem\n");
  CHECK(completed("mseal run --skip ba") == "\n");  // anything, and so no commands
  CHECK(completed("mseal run --policy no") == "none\n");
  CHECK_THAT(completed("mseal run --policy /etc/passw"), ContainsSubstring("/etc/passwd"));
  CHECK_THAT(completed("mseal run --backend filter bas"), ContainsSubstring("bash"));
  CHECK_THAT(completed("mseal run --backend = filter --strict bas"), ContainsSubstring("bash"));
  CHECK_THAT(completed("mseal run -v -- bas"), ContainsSubstring("bash"));
  CHECK_THAT(completed("mseal run -- cat /etc/passw"), ContainsSubstring("/etc/passwd"));
  CHECK(completed("mseal run --str") == "--strict\n");
  CHECK(completed("mseal --v") == "--version\n");
  CHECK_THAT(completed("mseal policy show --policy /etc/passw"), ContainsSubstring("/etc/passwd"));
}

}  // namespace
}  // namespace libmseal::tests
