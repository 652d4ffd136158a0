// MSEAL_OPTIONS and policy files: their levels, and what is wrong in them.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

void write(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

// What OWN_DATA_PROGRAM may change of itself, with the user's policy and one that is named.
Run under(const std::string& options, const std::string& home,
          std::vector<std::string> command = {OWN_DATA_PROGRAM}) {
  Command all = preloaded(options, std::move(command));
  all.environment["XDG_CONFIG_HOME"] = home;
  return run(all);
}

TEST_CASE("live: policies of user, command line and MSEAL_OPTIONS, each stronger than those before") {
  const TemporaryPath home("home");
  const TemporaryPath named("named.toml");
  write(home.string() + "/libmseal/policy.toml",
        "auto = \"data\"\n[[program]]\nname = \"*/own_data_program\"\nvdso = true\n");
  write(named.string(), "auto = \"off\"\n");
  const auto changeable = [&](const std::string& options) {
    const Run result = under(options, home.string());
    INFO(options);
    expect_success(result);
    CHECK(result.err == "");
    return result.out;
  };
  for (const std::string backend : {"backend=supervised", "backend=filters", "backend=kernel"}) {
    if (backend == "backend=kernel" && !needs_mseal()) continue;
    CHECK(changeable(backend) == "mutable mutable_too \n");
    CHECK(changeable(backend + ",vdso=0") == "mutable mutable_too vdso \n");
    CHECK(changeable(backend + ",policy=" + named.string()) == kUnsealed);
    CHECK(changeable(backend + ",auto=elf,policy=" + named.string()) == "data bss mutable mutable_too \n");
    CHECK(changeable(backend + ",policy=none") == kSealed);
  }
}

TEST_CASE("live: every program of a tree gets what the policy says about it") {
  const TemporaryPath named("tree.toml");
  write(named.string(),
        "[[program]]\nname = \"own_data_program\"\nauto = \"off\"\n[[object]]\nname = \"libm.so*\"\nseal = "
        "false\n");
  const std::string check = std::string(OWN_DATA_PROGRAM) + "; " + MARKED_PROGRAM;
  const Run result = under("backend=supervised,policy=" + named.string(), "", {"/bin/bash", "-c", check});
  INFO(result.err);
  CHECK(result.out == kUnsealed + kSealed);
}

TEST_CASE("live: what is wrong in a policy file is said once, and that file does not apply") {
  const TemporaryPath home("home");
  const TemporaryPath named("wrong.toml");
  write(home.string() + "/libmseal/policy.toml",
        "[[program]]\nname = \"own_data_program\"\nauto = \"off\"\n");
  write(named.string(), "auto = \"data\"\ncolour = \"red\"\n");
  for (const std::string backend : {"backend=supervised", "backend=filters"}) {
    const std::string options = backend + ",policy=" + named.string();
    const Run result = under(options, home.string());
    INFO(result.err);
    CHECK(result.out == kUnsealed);  // the other file does
    CHECK_THAT(result.err, ContainsSubstring("wrong.toml:2:1: there is no option 'colour'") &&
                               ContainsSubstring("it does not apply"));
    CHECK(count_lines(result.err) == 1);
    const Run strict = under("strict=1," + options, home.string());
    CHECK(strict.status == 127);
    CHECK(strict.out == "");
    const Run missing = under(backend + ",policy=/nonexistent/policy.toml", home.string());
    CHECK_THAT(missing.err, ContainsSubstring("/nonexistent/policy.toml: can't be read"));
    CHECK(missing.out == kUnsealed);
  }
  // Once in a tree.
  const Run in_tree = under("backend=supervised,policy=" + named.string(), home.string(),
                            {"/bin/bash", "-c", std::string(OWN_DATA_PROGRAM) + "; exit 0"});
  CHECK(in_tree.out == kUnsealed);
  CHECK(count_lines(in_tree.err) == 1);
  const Run unread =
      under("backend=libc,supervisor=/nonexistent/supervisor,policy=" + named.string(), home.string());
  CHECK_THAT(unread.err, ContainsSubstring("the policy files are not read"));
  // A rule that binds does so without a newline behind it, too.
  write(named.string(), "harden = [\"ptrace\"]");
  const Run bound =
      under("backend=libc,supervisor=/nonexistent/supervisor,policy=" + named.string(), home.string());
  CHECK(bound.status == 127);
  CHECK_THAT(bound.err, ContainsSubstring("has harden, so the program is not started"));
}

TEST_CASE("live: in a wrong policy file, such a rule for one program stops that one, in a tree, too") {
  const TemporaryPath named("wrong.toml");
  write(named.string(),
        "colour = \"red\"\n[[program]]\nname = \"own_data_program\"\nharden = [\"ptrace\"]\n");
  const std::string commands = "/bin/true; echo $?; " + std::string(OWN_DATA_PROGRAM) + "; echo $?";
  const Run result =
      under("backend=supervised,policy=" + named.string(), "/nonexistent", {"/bin/bash", "-c", commands});
  INFO(result.err);
  CHECK(result.out == "0\n127\n");
  CHECK_THAT(result.err, ContainsSubstring("it has harden, so the program is not started"));
}

TEST_CASE("live: a wrong policy file that has a rule without which the program must not start stops it") {
  const TemporaryPath home("home");
  const TemporaryPath named("wrong.toml");
  const std::string rule =
      GENERATE("harden = [\"ptrace\"]", "require = \"supervised\"", "strict = true", "mode = \"audit\"");
  INFO(rule);
  write(named.string(), rule + "\ncolour = \"red\"\n");
  const Run result = under("backend=supervised,policy=" + named.string(), home.string());
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err, ContainsSubstring("does not apply, but it has " + rule.substr(0, rule.find(' '))));
}

// What does not fit might say that the program must not start.
TEST_CASE("live: a program with more rules or options than the library takes is not started") {
  const TemporaryPath home("home");
  const TemporaryPath many("many.toml");
  const auto write_rules = [&](const std::string& head, const std::string& table, int count) {
    std::string text = head;
    for (int index = 0; index < count; ++index)
      text +=
          "[[" + table + "]]\nname = \"/opt/vendor/plugin-" + std::to_string(index) + ".so\"\nseal = false\n";
    write(many.string(), text);
  };
  const std::string options = "backend=supervised,policy=" + many.string();
  const std::vector<std::string> shell{"/bin/bash", "-c", std::string(OWN_DATA_PROGRAM) + "; echo $?"};
  SECTION("rules for every program") {
    write_rules("auto = \"off\"\n", "object", 200);
    CHECK(under(options, home.string()).out == kUnsealed);
    write_rules("auto = \"off\"\n", "object", 4000);
    const Run result = under(options, home.string());
    CHECK(result.status == 127);
    CHECK_THAT(result.err, ContainsSubstring("too many rules for this program: at most 65535 bytes"));
  }
  SECTION("rules for a program that another one starts") {
    const std::string head = "[[program]]\nname = \"own_data_program\"\nauto = \"off\"\n";
    write_rules(head, "program.object", 200);
    CHECK(under(options, home.string(), shell).out == kUnsealed + "0\n");
    write_rules(head, "program.object", 4000);
    const Run result = under(options, home.string(), shell);
    CHECK(result.out == "127\n");
    CHECK_THAT(result.err, ContainsSubstring("too many rules for this program: at most 65535 bytes"));
  }
  SECTION("MSEAL_OPTIONS") {
    CHECK(under("backend=supervised,skip=" + std::string(60'000, 'a'), home.string()).out == kSealed);
    const Run result = under("backend=supervised,skip=" + std::string(70'000, 'a'), home.string());
    CHECK(result.status == 127);
    CHECK_THAT(result.err, ContainsSubstring("MSEAL_OPTIONS is too long: at most 65535 bytes"));
  }
}

TEST_CASE("live: a policy file that is a pipe or has no end stops the program, and nobody waits for it") {
  const TemporaryPath home("home");
  const TemporaryPath large("large.toml");
  const std::string user = home.string() + "/libmseal/policy.toml";
  std::filesystem::create_directories(home.string() + "/libmseal");
  write(large.string(), "auto = \"off\"\n");
  std::filesystem::resize_file(large.string(), std::uintmax_t{1} << 30);
  const auto stops = [&](const std::string& why) {
    Command command = preloaded("backend=supervised", {OWN_DATA_PROGRAM});
    command.environment["XDG_CONFIG_HOME"] = home.string();
    command.timeout_s = 10;
    const Run result = run(command);
    CHECK(result.status == 127);
    CHECK(result.out == "");
    CHECK(result.err ==
          "libmseal: " + user + ": can't be read: " + why + "; it does not apply\nlibmseal: " + user +
              " does not apply, but it has contents that could not be examined, so the program is not "
              "started (policy=none starts it without the files)\n");
    command.environment["MSEAL_OPTIONS"] = "backend=libc,supervisor=/nonexistent/supervisor";
    const Run unread = run(command);
    CHECK(unread.status == 127);
    CHECK_THAT(unread.err, ContainsSubstring("has contents that could not be examined"));
  };
  REQUIRE(::mkfifo(user.c_str(), 0600) == 0);
  stops("it is not a regular file");
  const auto stops_with_link_to = [&](const std::string& target, const std::string& why) {
    std::filesystem::remove(user);
    std::filesystem::create_symlink(target, user);
    stops(why);
  };
  stops_with_link_to("/dev/zero", "it is not a regular file");
  stops_with_link_to(large.string(), "File too large");

  std::filesystem::remove(user);
  std::filesystem::create_symlink("/dev/null", user);
  Command command = preloaded("backend=supervised", {OWN_DATA_PROGRAM});
  command.environment["XDG_CONFIG_HOME"] = home.string();
  const Run masked = run(command);
  CHECK(masked.out == kSealed);
  CHECK(masked.err == "");
}

TEST_CASE("live: a policy's mode is its tree's") {
  const TemporaryPath named("audit.toml");
  const TemporaryPath events("events.jsonl");
  write(named.string(), "mode = \"audit\"\nevents = \"" + events.string() + "\"\n");
  const Run result = under("backend=supervised,policy=" + named.string(), "");
  CHECK(result.out == kUnsealed);  // nothing is refused
  CHECK(count_in(events_in(events.string(), 2), "\"verdict\":\"would refuse\"") == 2);
}

TEST_CASE("live: a bad option is named, the rest applies") {
  const Run result =
      run(preloaded("colour=red,backend=supervised,verbose=1", {LIVE_PROGRAM, "refuses_changes"}));
  expect_success(result);
  CHECK_THAT(result.err,
             ContainsSubstring("libmseal: MSEAL_OPTIONS: there is no option colour; keys are backend"));
  CHECK_THAT(result.err, ContainsSubstring("libmseal: backend supervised on Linux"));
  CHECK(count_lines(result.err) == 2);
}

TEST_CASE("live: strict=1 does not start the program with a bad option") {
  const Run result = run(preloaded("backend=nonsense,strict=1", {"/bin/echo", "never"}));
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err, ContainsSubstring("allowed: auto, kernel, supervised, filters, libc"));
}

}  // namespace
}  // namespace libmseal::tests
