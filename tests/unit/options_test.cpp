#include "policy/configuration/options.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

std::vector<std::string> errors_of(std::string_view text, Options& options) {
  std::vector<std::string> errors;
  parse_options(text, options, [&](const OptionError& error) {
    errors.push_back(std::string(error.key) + "|" + std::string(error.value) + "|" +
                     std::string(error.allowed));
  });
  return errors;
}

TEST_CASE("every option is understood") {
  Options options;
  CHECK(errors_of("backend=seccomp,require=filter,auto=off,discard=kernel,open=io_uring+clone3,harden=ptrace+"
                  "userfaultfd+proc_mem,strict=1,verbose=1,"
                  "log=/tmp/log,supervisor=/x/y",
                  options)
            .empty());
  CHECK(options.backend == Backend::supervised);
  CHECK(options.require == Backend::filters);
  CHECK(options.auto_seal == AutoSeal::off);
  CHECK(options.discard == DiscardRule::kernel);
  CHECK(options.open_calls == (kBlockedIoUring | kBlockedClone3));
  CHECK(options.harden == (kHardenPtrace | kHardenUserfaultfd | kHardenProcMem));
  CHECK(options.strict);
  CHECK(options.verbose);
  CHECK(options.log == "/tmp/log");
  CHECK(options.supervisor == "/x/y");
}

TEST_CASE("a bad item is named with what is allowed, and the rest applies") {
  Options options;
  const auto errors =
      errors_of("backend=magic,,auto=off,colour,=1,open=io_uring+,log=relative,require=auto", options);
  REQUIRE(errors.size() == 6);
  CHECK(errors[0] == "backend|magic|auto, kernel, supervised, filters, libc");
  CHECK(errors[1].starts_with("colour||keys are backend"));
  CHECK(errors[2].starts_with("|1|keys are"));
  CHECK(errors[3].starts_with("open|io_uring+|io_uring, "));
  CHECK(errors[4] == "log|relative|an absolute path, stderr, syslog");
  CHECK(errors[5].starts_with("require|auto|kernel"));
  CHECK(options.backend == Backend::automatic);
  CHECK(options.auto_seal == AutoSeal::off);
  CHECK(options.open_calls == 0);
}

TEST_CASE("backends have the names that the options have") {
  CHECK(name_of(Backend::kernel) == "kernel");
  CHECK(name_of(Backend::automatic) == "auto");
}

}  // namespace
}  // namespace libmseal::policy
