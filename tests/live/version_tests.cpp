// Library and supervisor of different versions, and policy files that nobody can read.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

const std::string kManyChildren = "/bin/true; (/bin/true; /bin/true); echo done";

TEST_CASE("live: a supervisor of another version means backend filters, in one line for the whole tree") {
  if (!needs_room_between_images()) return;
  const Run result = run(preloaded(std::string("policy=none,backend=supervised,supervisor=") + OTHER_VERSION,
                                   {"/bin/bash", "-c", kManyChildren}));
  CHECK(result.out == "done\n");
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err, ContainsSubstring(
                             "backend filters instead of supervised: the supervisor is of another version") &&
                             ContainsSubstring("from one build"));
}

TEST_CASE("live: in a tree whose supervisor is of another version a program does without, in one line") {
  if (!needs_room_between_images() || !needs_mseal_to_be_notified()) return;
  Command command{{OTHER_VERSION, "/bin/bash", "-c", kManyChildren},
                  {{"MSEAL_OPTIONS", "policy=none,backend=supervised"}},
                  {},
                  60};
  const Run result = run(command);
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK(result.out == "done\n");
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(
      result.err,
      ContainsSubstring("backend filters instead of supervised: the supervisor of this process tree is of "
                        "another version"));
  command.arguments = {OTHER_VERSION, LIVE_PROGRAM, "refuses_changes"};
  CHECK(run(command).status == 0);
  command.environment["MSEAL_OPTIONS"] = "policy=none,backend=supervised,require=supervised";
  CHECK(run(command).status == 127);
}

TEST_CASE("live: in such a tree policy files are read by a supervisor of the library's own version") {
  const TemporaryPath policy("own.toml");
  std::ofstream(policy.string()) << "auto = \"off\"\nharden = [\"ptrace\"]\n";
  const Run result = run({{OTHER_VERSION, OWN_DATA_PROGRAM},
                          {{"MSEAL_OPTIONS", "backend=supervised,policy=" + policy.string()},
                           {"XDG_CONFIG_HOME", "/nonexistent"}},
                          {},
                          60});
  CHECK(result.status == 0);
  CHECK(result.out == kUnsealed);
  CHECK(result.err == "");
}

TEST_CASE("live: policy files without a usable supervisor are said, and end the program where they bind it") {
  const TemporaryPath policy("unread.toml");
  const auto under = [&](const std::string& text, const std::string& supervisor,
                         const std::string& more = "") {
    std::ofstream(policy.string()) << text;
    Command command =
        preloaded("supervisor=" + supervisor + ",policy=" + policy.string() + more, {"/bin/echo", "runs"});
    command.environment["XDG_CONFIG_HOME"] = "/nonexistent";
    return run(command);
  };
  for (const std::string supervisor : {"/nonexistent/supervisor", OTHER_VERSION, "/bin/true"}) {
    for (const std::string backend : {"", ",backend=libc"}) {
      INFO(supervisor << backend);
      const Run weak =
          under("auto = \"data\"\n# harden = [\"ptrace\"]\ndiscard = \"strict\"\n", supervisor, backend);
      CHECK(weak.status == 0);
      CHECK(weak.out == "runs\n");
      CHECK_THAT(weak.err, ContainsSubstring("the policy files are not read: "));
      CHECK(under("auto = \"data\"\n", supervisor, ",strict=1" + backend).status == 127);
      if (supervisor != OTHER_VERSION) continue;
      for (const std::string rule :
           {"harden = [\"ptrace\"]", "require = \"filters\"", "strict = true", "  \"mode\"= \"audit\"",
            "[[program]]\nname = \"echo\"\nharden=['proc_mem']"}) {
        INFO(rule);
        const Run bound = under("auto = \"data\"\n" + rule + "\n", supervisor, backend);
        CHECK(bound.status == 127);
        CHECK(bound.out == "");
        CHECK(count_lines(bound.err) == 1);
        CHECK_THAT(bound.err,
                   ContainsSubstring("the program is not started") && ContainsSubstring("unread.toml has "));
      }
      CHECK(under("strict = false\nharden = []\nmode = 'enforce'\n", supervisor, backend).status == 0);
    }
  }
}

}  // namespace
}  // namespace libmseal::tests
