#include "policy/configuration/binding_rule.h"

#include <sstream>
#include <string>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

std::string binding(const std::string& file, const char* program = "/usr/bin/redis") {
  BindingRule rules(program);
  std::istringstream lines(file);
  for (std::string line; std::getline(lines, line);) rules.look_at(line);
  return std::string(rules.found());
}

TEST_CASE("a rule for all programs binds each") {
  CHECK(binding("harden = [\"ptrace\"]") == "harden");
  CHECK(binding("auto = \"off\"\n\"require\"='supervised'") == "require");
  CHECK(binding("strict=true") == "strict");
  CHECK(binding("mode = \"audit\"\n") == "mode");
  CHECK(binding("harden = []\nrequire = \"libc\"\nstrict = false\nmode = \"enforce\"") == "");
  CHECK(binding("# harden = [\"ptrace\"]\nunharden = 1\nwhy = \"it is hardened\"") == "");
  CHECK(binding("") == "");
}

TEST_CASE("a rule for one program binds that one") {
  const std::string rule = "harden = [\"ptrace\"]\n";
  for (const std::string name :
       {"name = \"nginx\"\n", "name='nginx' # the server\n", "\tname = \"/usr/sbin/ngin?\"\n"}) {
    INFO(name);
    for (const std::string& table : {"[[program]]\n" + name + rule, "[[program]] # one\n" + rule + name}) {
      CHECK(binding(table) == "");
      CHECK(binding(table, "/usr/sbin/nginx") == "harden");
      CHECK(binding(table, "") == "harden");  // which one is not known
      CHECK(binding(table + rule) == "");
      CHECK(binding(rule + table) == "harden");
      CHECK(binding(table + "[[object]]\n" + rule) == "harden");
      CHECK(binding(table + "[[program]]\nname = \"redis\"\nstrict = true\n") == "strict");
    }
  }
}

TEST_CASE("a rule binds every program if it is not certain which one it is for") {
  const std::string rule = "\nharden = [\"ptrace\"]\n";
  for (const std::string table : {"[[program]]",
                                  "[[program]",
                                  "[program]\nname = \"nginx\"",
                                  "[[ program ]]\nname = \"nginx\"",
                                  "[[program]]\nname = \"nginx",
                                  "[[program]]\nname = \"ngi\\u006Ex\"",
                                  "[[program]]\nname = \"\"",
                                  "[[program]]\n\"name\" = \"nginx\"",
                                  "[[program]]\nname = \"nginx\" oops",
                                  "[[program]]\nname = nginx",
                                  "[[program]]\nname = \"nginx,redis\"",
                                  "[[program]]\nname = \"nginx:redis\"",
                                  "[[program]]\nname = \"!nginx\"",
                                  "[[program]]\nname = \"ng\tinx\"",
                                  "(program]]\nname = \"nginx\"",
                                  "[[program]]\nname = \"nginx\"\nname: \"redis\"",
                                  "[[program]]\nname = \"nginx\"\nname = \"apache\"",
                                  "[[program]]\nname = [\"nginx\"]",
                                  "[[program]]\nname = \"nginx\"\nopen = [\n[\"x\"],",
                                  "x = \"\"\"\n[[program]]\nname = \"nginx\"",
                                  "[[program]]\nname = \"nginx\"\nwhy = '''\n",
                                  "[[program]]\nname = \"nginx\" oops]\nname = \"nginx\""}) {
    INFO(table);
    CHECK(binding(table + rule) == "harden");
  }
  CHECK(binding("[[program]]\nname = \"" + std::string(600, 'x') + "\"" + rule) == "harden");
  CHECK(binding("program = [{name=\"redis\", why = \"\"\"\n# see\"\"\", harden=[\"ptrace\"]}]") == "harden");
}

TEST_CASE("a line that may be more than it looks like binds every program") {
  for (const std::string& line : {std::string(9000, ' '), std::string("# x\rstrict = true\r"),
                                  std::string("\0s\0t", 4), std::string("\"h\\u0061rden\" = [\"ptrace\"]")}) {
    INFO(line);
    CHECK(binding(line) == "a line that can't be understood");
  }
  CHECK(binding("auto = \"off\"\r\n# x\r\nwhy = \"\\n\"\r\n") == "");
  CHECK(binding("harden: [\"ptrace\"]") == "harden");
}

}  // namespace
}  // namespace libmseal::policy
