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
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

using Catch::Matchers::StartsWith;

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

TEST_CASE("tool: run starts a program under the library, with its options and its exit status") {
  const Run sealed = tool({"run", "--backend=seccomp", "--auto", "data", "--", OWN_DATA_PROGRAM});
  CHECK(sealed.out == "mutable mutable_too vdso \n");
  CHECK(sealed.err == "");
  CHECK(tool({"run", "--backend=seccomp", "/bin/sh", "-c", "exit 7"}).status == 7);
  CHECK(tool({"run", "/nonexistent/program"}).status == 127);
  const Run bad = tool({"run", "--backend=magic", "/bin/true"});
  CHECK(bad.status == 2);
  CHECK_THAT(bad.err,
             ContainsSubstring("--backend=magic is not understood; allowed: auto, kernel, supervised"));
  CHECK(tool({"run", "--colour", "/bin/true"}).status == 2);
  CHECK(tool({"run"}).status == 2);
  CHECK(tool({}).status == 2);
}

TEST_CASE("tool: run says which programs it does not reach, and what to do") {
  const Run served = tool({"run", "--backend=seccomp", "--coverage=all", STATIC_PROGRAM, "few"});
  CHECK(served.err == "");
  const Run unreached = tool({"run", "--backend=seccomp", STATIC_PROGRAM, "few"});
  CHECK_THAT(unreached.err,
             ContainsSubstring("is static, so it ignores LD_PRELOAD") && ContainsSubstring("--coverage=all"));
  CHECK(tool({"run", "-q", "--backend=seccomp", STATIC_PROGRAM, "few"}).err.find("is static") ==
        std::string::npos);
  const TemporaryPath script("script");
  std::ofstream(script.string()) << "#!" << STATIC_PROGRAM << "\n";
  std::filesystem::permissions(script.string(), std::filesystem::perms(0755));
  CHECK_THAT(tool({"run", "--backend=seccomp", script.string()}).err, ContainsSubstring("is static"));
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
  refuses(with({"--require=seccomp"}), "require=supervised is stronger than backend=libc", "backend=libc");
  refuses(with({"--policy=/nonexistent/policy.toml"}),
          "/nonexistent/policy.toml can't be read: No such file");
  refuses(with({"--policy=/tmp"}), "it is a folder");
  refuses(with({"--policy=/dev/zero"}), "it is no regular file");
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

}  // namespace
}  // namespace libmseal::tests
