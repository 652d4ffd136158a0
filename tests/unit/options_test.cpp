#include "policy/configuration/options.h"

#include <algorithm>
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
  CHECK(
      errors_of("backend=supervised,mode=audit,require=filters,auto=data,late=all,vdso=1,skip=libx*:liby.so,"
                "mutable=libz.so,coverage=all,scope=process,discard=kernel,sealable=required,"
                "open=io_uring+clone3,harden=ptrace+userfaultfd+proc_mem,policy=/p.toml,strict=1,verbose=1,"
                "log=/tmp/log,events=/tmp/events,supervisor=/x/y",
                options)
          .empty());
  CHECK(options.backend == Backend::supervised);
  CHECK(options.audit);
  CHECK(options.require == Backend::filters);
  CHECK(options.auto_seal == AutoSeal::data);
  CHECK(options.late_seal == LateSeal::all);
  CHECK(options.vdso);
  CHECK(options.skip == "libx*:liby.so");
  CHECK(options.mutable_data == "libz.so");
  CHECK(options.covers_all);
  CHECK(options.one_process);
  CHECK(options.discard == DiscardRule::kernel);
  CHECK(options.discard_given);
  CHECK(options.sealable_required);
  CHECK(options.open_calls == (kBlockedIoUring | kBlockedClone3));
  CHECK(options.harden == (kHardenPtrace | kHardenUserfaultfd | kHardenProcMem));
  CHECK(options.policy == "/p.toml");
  CHECK(options.strict);
  CHECK(options.verbose);
  CHECK(options.log == "/tmp/log");
  CHECK(options.events == "/tmp/events");
  CHECK(options.supervisor == "/x/y");
}

TEST_CASE("every key that the message for an unknown one lists is in the test above") {
  Options options;
  OptionError error;
  REQUIRE_FALSE(parse_option("colour=red", options, error));
  CHECK(std::ranges::count(error.allowed, ',') + 1 == 20);
}

TEST_CASE("the other names of backends work") {
  Options options;
  CHECK(errors_of("backend=seccomp,require=filter", options).empty());
  CHECK(options.backend == Backend::supervised);
  CHECK(options.require == Backend::filters);
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
  CHECK(name_of(Backend::supervised) == "supervised");
  CHECK(name_of(Backend::filters) == "filters");
}

}  // namespace
}  // namespace libmseal::policy
