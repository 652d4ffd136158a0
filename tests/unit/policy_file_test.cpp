#include "policy/configuration/policy_file.h"

#include <array>
#include <string>
#include <vector>

#include "policy/configuration/options.h"
#include "policy/configuration/pattern.h"
#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

PolicyFile good(std::string_view text) {
  std::vector<PolicyError> errors;
  PolicyFile file = read_policy(text, errors);
  for (const PolicyError& error : errors) FAIL(error.text());
  return file;
}

std::vector<std::string> wrong(std::string_view text) {
  std::vector<PolicyError> errors;
  (void)read_policy(text, errors);
  std::vector<std::string> all;
  for (const PolicyError& error : errors) all.push_back(error.text());
  return all;
}

constexpr std::string_view kSystem = R"(
auto = "elf"
harden = ["ptrace", "proc_mem"]
vdso = true
[[object]]
name = "libpatchy.so*"
seal = false
why = "patches its own text"
[[program]]
name = "/usr/bin/node"
why = "tried in May"
auto = "data"
[[program.object]]
name = "libnode.so*"
seal = false
mutable = true
[[program]]
name = "no*"
discard = "kernel"
)";

TEST_CASE("policy files come to options, of the programs that they name") {
  const std::array<PolicyFile, 1> levels{good(kSystem)};
  CHECK(options_for(levels, "/bin/true") == "auto=elf,harden=ptrace+proc_mem,vdso=1,skip=libpatchy.so*");
  CHECK(options_for(levels, "/usr/bin/node") ==
        "auto=elf,harden=ptrace+proc_mem,vdso=1,auto=data,discard=kernel,skip=libnode.so*:libpatchy.so*,"
        "mutable=libnode.so*");
  CHECK(options_for(levels, "/opt/bin/node").find("auto=data") == std::string::npos);
  CHECK(options_for(levels, "").find("node") == std::string::npos);
}

TEST_CASE("of several policy files the later are stronger") {
  const std::array<PolicyFile, 2> levels{good(kSystem), good(R"(
auto = "off"
[[object]]
name = "libpatchy.so.2"
seal = true
[[program]]
name = "node"
[[program.object]]
name = "lib*"
seal = true
)")};
  Options options;
  const std::string text = options_for(levels, "/usr/bin/node");
  parse_options(text, options, [](const OptionError& error) { FAIL(error.key); });
  CHECK(options.auto_seal == AutoSeal::off);
  CHECK(options.vdso);
  CHECK(options.skip == "!lib*:libnode.so*:!libpatchy.so.2:libpatchy.so*");
  CHECK(look_up(options.skip, "/usr/lib/libnode.so.1") == Listed::excluded);
  CHECK(look_up(options.skip, "/usr/lib/node") == Listed::not_named);
}

TEST_CASE("what is wrong in a policy file is named with its place") {
  CHECK(wrong("auto = \"elv\"") ==
        std::vector<std::string>{"1:8: 'elv' is not understood; allowed: off, marked, elf, data"});
  CHECK(wrong("\n colour = 1").front().starts_with("2:2: there is no option 'colour'; keys are"));
  CHECK(wrong("policy = \"/x\"") == std::vector<std::string>{"1:1: 'policy' can't be set in a policy file"});
  CHECK(wrong("skip = \"x\"").front().find("use [[object]]") != std::string::npos);
  CHECK(wrong("harden = [\"ptrace\", 4]").front().find("a list of strings") != std::string::npos);
  CHECK(wrong("log = \"/a,b\"") ==
        std::vector<std::string>{"1:7: commas and control characters can't be part of an option"});
  CHECK(wrong("[program]\nname = \"x\"") == std::vector<std::string>{"1:1: is written as [[program]]"});
  CHECK(wrong("[[program]]\nauto = \"off\"").front().find("needs a name") != std::string::npos);
  CHECK(wrong("[[object]]\nname = \"a,b\"").size() == 2);  // the pattern, and no `seal`
  CHECK(wrong("[[object]]\nseal = true\nname = \"" + std::string(511, 'a') + "\"").empty());
  CHECK(wrong("[[object]]\nseal = true\nname = \"" + std::string(512, 'a') + "\"").size() == 1);
  CHECK(wrong("[[object]]\nname = \"a\"\nseal = \"no\"") ==
        std::vector<std::string>{"3:8: 'seal' is true or false"});
  CHECK(wrong("[[object]]\nname = \"a\"\nseal = true\nsize = 3").front().starts_with("4:1: 'size'"));
  CHECK(wrong("events = \"/a\\u0000b\"").size() == 1);
  CHECK(wrong("[[object]]\nname = \"a\"\nmutable = 1").front() == "3:11: 'mutable' is true or false");
  CHECK(wrong("auto = ").front().starts_with("1:"));
  CHECK(wrong("auto = \"off\"\nauto = \"elf\"").front().starts_with("2:"));
  CHECK(wrong("").empty());
}

TEST_CASE("patterns are for paths or for file names, and the first that fits decides") {
  CHECK(fits("libc.so*", "/usr/lib/libc.so.6"));
  CHECK(fits("/usr/*/libc.so.6", "/usr/lib/libc.so.6"));
  CHECK_FALSE(fits("libc", "/usr/lib/libc.so.6"));
  CHECK(look_up("a:b", "/x/b") == Listed::included);
  CHECK(look_up("!b:b", "/x/b") == Listed::excluded);
  CHECK(look_up("::libstdc++.so*", "/x/libstdc++.so.6") == Listed::included);
  CHECK(look_up("", "/x/b") == Listed::not_named);
  const std::string many(600, '*');
  CHECK(look_up(many + ":b", "/x/b") == Listed::included);
}

}  // namespace
}  // namespace libmseal::policy
