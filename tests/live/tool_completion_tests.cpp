// What bash completes of a command line of mseal.
#include <filesystem>
#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

// The words as bash has them: it breaks at =.
std::string completed(const std::string& words) {
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
}

TEST_CASE("tool: bash completes the values of options, and commands only where commands go") {
  CHECK(completed("mseal run --backend ''") == "auto kernel supervised filters libc\n");
  CHECK(completed("mseal run --backend su") == "supervised\n");
  CHECK(completed("mseal run --backend = ''") == "auto kernel supervised filters libc\n");
  CHECK(completed("mseal run --backend =") == "auto kernel supervised filters libc\n");
  CHECK(completed("mseal run --backend = f") == "filters\n");
  CHECK(completed("mseal run --harden ptrace+proc") == "ptrace+process_vm_writev ptrace+proc_mem\n");
  CHECK(completed("mseal run --skip ba") == "\n");  // anything, and so no commands
  CHECK(completed("mseal run --policy no") == "none\n");
  CHECK_THAT(completed("mseal run --policy /etc/passw"), ContainsSubstring("/etc/passwd"));
  CHECK_THAT(completed("mseal run --backend filters bas"), ContainsSubstring("bash"));
  CHECK_THAT(completed("mseal run --backend = filters --strict bas"), ContainsSubstring("bash"));
  CHECK_THAT(completed("mseal run -v -- bas"), ContainsSubstring("bash"));
  CHECK_THAT(completed("mseal run -- cat /etc/passw"), ContainsSubstring("/etc/passwd"));
  CHECK(completed("mseal run --str") == "--strict\n");
  CHECK(completed("mseal --v") == "--version\n");
  CHECK_THAT(completed("mseal policy show --policy /etc/passw"), ContainsSubstring("/etc/passwd"));
}

TEST_CASE("tool: bash completes commands and options") {
  CHECK(completed("mseal ''") == "run check status report policy system --help --version\n");
  CHECK(completed("mseal run --cov") == "--coverage\n");
  CHECK(completed("mseal policy ''") == "check show --help\n");
  CHECK(completed("mseal system ''") == "enable disable status --help\n");
  CHECK(completed("mseal system enable --no") == "--no-setuid\n");
  CHECK(completed("mseal system disable --root /et") == "/etc\n");
  CHECK_THAT(completed("mseal run --"),
             ContainsSubstring("--mode") && ContainsSubstring("--policy") && ContainsSubstring("--harden"));
}

}  // namespace
}  // namespace libmseal::tests
