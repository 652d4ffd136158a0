// mseal run: what it starts, and what it refuses in words.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/live/runs.h"
#include "tests/live/tool.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

using Catch::Matchers::StartsWith;

TEST_CASE("tool: says its version") {
  const Run result = tool({"--version"});
  CHECK(result.status == 0);
  CHECK_THAT(result.out, StartsWith("mseal ") && ContainsSubstring(", layout "));
}

TEST_CASE("tool: a command line that is wrong gets one line that names the mistake") {
  const std::pair<std::vector<std::string>, std::string> wrong[] = {
      {{}, "mseal: A subcommand is required; see mseal --help\n"},
      {{"staus"}, "mseal: staus is not understood; see mseal --help\n"},
      {{"policy", "chek", "file"}, "mseal: chek is not understood; see mseal policy --help\n"},
      {{"policy", "check"}, "mseal: file is required; see mseal policy check --help\n"},
      {{"run", "--colour"}, "mseal: --colour is not understood; see mseal run --help\n"},
      {{"run", "--events=", "--", "true"}, "mseal: --events= has no value\n"},
      {{"\x1B[31m"}, "mseal: \\x1b[31m is not understood; see mseal --help\n"},
  };
  for (const auto& [arguments, line] : wrong) {
    const Run result = tool(arguments);
    CHECK(result.status == 2);
    CHECK(result.out == "");
    CHECK(result.err == line);
  }
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
    return run({{copy, "run", "--backend=supervised", "/bin/echo", "runs"}, {}, {}, 60});
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

TEST_CASE("tool: run starts a program under the library, with its options and its exit status") {
  const Run sealed = tool({"run", "--backend=supervised", "--auto", "data", "--", OWN_DATA_PROGRAM});
  CHECK(sealed.out == "mutable mutable_too vdso \n");
  CHECK(sealed.err == "");
  CHECK(tool({"run", "--backend=supervised", "/bin/sh", "-c", "exit 7"}).status == 7);
  CHECK(tool({"run", "/nonexistent/program"}).status == 127);
  const TemporaryPath script("script");
  std::ofstream(script.string()) << "#!/nonexistent/interpreter\n";
  std::filesystem::permissions(script.string(), std::filesystem::perms(0755));
  CHECK(tool({"run", script.string()}).status == 127);
  const TemporaryPath pipe("pipe");
  CHECK(::mkfifo(pipe.string().c_str(), 0755) == 0);
  CHECK(tool({"run", pipe.string()}).status == 126);
  const Run bad = tool({"run", "--backend=magic", "/bin/true"});
  CHECK(bad.status == 2);
  CHECK_THAT(bad.err,
             ContainsSubstring("--backend=magic is not understood; allowed: auto, kernel, supervised"));
  CHECK(tool({"run", "--colour", "/bin/true"}).status == 2);
  CHECK(tool({"run"}).status == 2);
  CHECK(tool({}).status == 2);
}

TEST_CASE("tool: run refuses a library that LD_PRELOAD can't name") {
  for (const std::string folder : {"with blank", "with:colon"}) {
    const TemporaryPath copies(folder);
    std::filesystem::create_directory(copies.string());
    for (const char* const file : {"libmseal.so", "mseal", "mseal-supervisor"})
      std::filesystem::copy_file(std::filesystem::path(MSEAL_TOOL).parent_path() / file,
                                 std::filesystem::path(copies.string()) / file);
    const Run result = run({{copies.string() + "/mseal", "run", "/bin/true"}, {}, {}, 60});
    CHECK(result.status == 2);
    CHECK_THAT(result.err, ContainsSubstring("can't be preloaded"));
  }
}

TEST_CASE("tool: what can't be written to standard output is an error") {
  for (const std::string what : {"check", "check --json", "--help", "policy show true"}) {
    INFO(what);
    const Run result =
        run({{"/bin/sh", "-c", std::string(MSEAL_TOOL) + " " + what + " >/dev/full"}, {}, {}, 60});
    CHECK(result.status == 2);
    CHECK_THAT(result.err, ContainsSubstring("mseal: standard output: No space left on device"));
  }
}

TEST_CASE("tool: names and options are printed without control characters") {
  const Run missing = tool({"run", "\033[31mnone"});
  CHECK(missing.status == 127);
  CHECK_THAT(missing.err, ContainsSubstring("mseal: \\x1b[31mnone: "));
  CHECK_THAT(tool({"run", "--backend=\033[31m", "true"}).err, !ContainsSubstring("\033"));
  CHECK_THAT(tool({"check"}, "log=\033[31m").out, !ContainsSubstring("\033"));
}

TEST_CASE("tool: run says which programs it does not reach, and what to do") {
  if (needs_mseal_to_be_notified()) {
    const Run served = tool({"run", "--backend=supervised", "--coverage=all", STATIC_PROGRAM, "few"});
    CHECK(served.err == "");
  }
  // A filter that answers mseal(2), as a container's profile does.
  Command command{
      {MSEAL_TOOL, "run", "--backend=supervised", "--coverage=all", STATIC_PROGRAM, "few"}, {}, {}, 60};
  command.prepare = [] { answer_with(462, SECCOMP_RET_ERRNO | ENOSYS); };
  CHECK_THAT(run(command).err,
             ContainsSubstring("static_program can seal nothing: it does not load the library"));
  const Run unreached = tool({"run", "--backend=supervised", STATIC_PROGRAM, "few"});
  CHECK_THAT(unreached.err,
             ContainsSubstring("is static and ignores LD_PRELOAD") && ContainsSubstring("--coverage=all"));
  CHECK(tool({"run", "-q", "--backend=supervised", STATIC_PROGRAM, "few"}).err.find("is static") ==
        std::string::npos);
  for (const std::string binding : {"--require=supervised", "--harden=ptrace", "--strict"})
    refuses({"run", "-q", "--backend=supervised", binding, "--", STATIC_PROGRAM, "few"},
            "the program is not started");
  const TemporaryPath script("script");
  std::ofstream(script.string()) << "#!" << STATIC_PROGRAM << "\n";
  std::filesystem::permissions(script.string(), std::filesystem::perms(0755));
  CHECK_THAT(tool({"run", "--backend=supervised", script.string()}).err, ContainsSubstring("is static"));
}

TEST_CASE("tool: run heeds options from the environment and from files as its own") {
  const std::vector<std::string> shows{"run", "/bin/sh", "-c", "echo $MSEAL_OPTIONS"};
  CHECK(tool(shows, "mode=audit").out == "log=stderr,mode=audit\n");
  CHECK(tool(shows, "mode=audit,log=syslog").out == "mode=audit,log=syslog\n");
  CHECK(tool(shows, "backend=supervised").out == "backend=supervised\n");
  const TemporaryPath policy("audit.toml");
  std::ofstream(policy.string()) << "mode = 'audit'\n";
  CHECK_THAT(tool(shows, "policy=" + policy.string()).out, StartsWith("log=stderr,policy="));
  if (!needs_mseal_to_be_notified()) return;
  const Run served = tool({"run", STATIC_PROGRAM, "few"}, "backend=supervised,coverage=all");
  CHECK(served.err == "");
  CHECK(served.status == 0);
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
  refuses(with({"--backend=filters", "--require=kernel"}), "require=kernel is stronger than backend=filters");
  refuses(with({"--require=supervised"}), "require=supervised is stronger than backend=libc", "backend=libc");
  refuses(with({"--policy=/nonexistent/policy.toml"}),
          "/nonexistent/policy.toml can't be read: No such file");
  refuses(with({"--policy=/tmp"}), "it is a directory");
  refuses(with({"--policy=/dev/zero"}), "it is not a regular file");
  const Run wrong = tool(with({"--policy", bad.string()}));
  CHECK(wrong.status == 2);
  CHECK(wrong.out == "");
  CHECK_THAT(wrong.err, ContainsSubstring("bad.toml:1:8: 'elv' is not understood") &&
                            ContainsSubstring("the program is not started"));

  CHECK(tool({"run", "--strict", "--backend=supervised", "/bin/echo", "runs"}).out == "runs\n");
  const Run strict = tool({"run", "--strict", "/bin/echo", "never"}, "colour=red");
  CHECK(strict.status == 127);
  CHECK(strict.out == "");
}

TEST_CASE("tool: an audit whose records can't be written does not start") {
  const auto is_not_started = [](const std::vector<std::string>& arguments) {
    const Run result = tool(arguments);
    CHECK(result.status == 127);
    CHECK(result.out == "");
    CHECK_THAT(result.err,
               ContainsSubstring(" can't be written: ") && ContainsSubstring("the program is not started"));
  };
  const TemporaryPath pipe("fifo");
  REQUIRE(::mkfifo(pipe.string().c_str(), 0600) == 0);
  for (const std::string& file : {std::string("/nonexistent/events"), std::string("/proc"), pipe.string()}) {
    for (const std::string key : {"--events=", "--log="}) {
      is_not_started({"run", "--mode=audit", key + file, "/bin/echo", "never"});
    }
  }
  // The same where a policy file says that it is an audit.
  const TemporaryPath policy("audit.toml");
  std::ofstream(policy.string()) << "mode = 'audit'\nevents = '/nonexistent/events'\n";
  is_not_started({"run", "--policy", policy.string(), "/bin/echo", "never"});
  // In enforce the program runs, and the library says it.
  const Run result = tool({"run", "--backend=supervised", "--events=" + pipe.string(), "/bin/echo", "runs"});
  CHECK(result.out == "runs\n");
  CHECK_THAT(result.err, ContainsSubstring("nobody reads the pipe"));
}

TEST_CASE("tool: the records of an audit go where the options say, and only their owner can read them") {
  namespace fs = std::filesystem;
  const TemporaryPath events("events");
  const TemporaryPath log("log");
  CHECK(tool({"run", "--mode=audit", "--events=" + events.string(), "/bin/true"}).status == 0);
  CHECK(tool({"run", "--mode=audit", "/bin/true"}, "log=" + log.string()).status == 0);
  for (const std::string& file : {events.string(), log.string()}) {
    INFO(file);
    REQUIRE(fs::exists(file));
    CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  }
}

}  // namespace
}  // namespace libmseal::tests
