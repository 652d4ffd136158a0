// mseal policy: what policy files say, and what is wrong with them.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "policy/policy_file.h"
#include "shim/tool/command.h"
#include "shim/tool/policy_reader.h"
#include "shim/tool/program_file.h"

namespace libmseal::tool {
namespace {

namespace fs = std::filesystem;

// Those that the library looks for, the weakest first.
std::vector<std::string> present_files() {
  std::vector<std::string> files{"/etc/libmseal/policy.toml"};
  const char* const folder = std::getenv("XDG_CONFIG_HOME");
  const char* const home = std::getenv("HOME");
  if (folder != nullptr && *folder == '/') {
    files.push_back(std::string(folder) + "/libmseal/policy.toml");
  } else if (home != nullptr && *home == '/') {
    files.push_back(std::string(home) + "/.config/libmseal/policy.toml");
  }
  std::erase_if(files, [](const std::string& file) { return !fs::exists(file); });
  return files;
}

void check(const std::vector<std::string>& files, int& status) {
  bool good = true;
  for (const std::string& file : files) (void)read_policy_file(file, good);
  status = good ? kDone : kUsage;
}

void show(const std::string& program, const std::string& named, int& status) {
  std::vector<std::string> files = present_files();
  if (!named.empty()) files.push_back(named);
  bool good = true;
  std::vector<policy::PolicyFile> levels;
  for (const std::string& file : files) {
    bool fine = true;
    policy::PolicyFile level = read_policy_file(file, fine);
    if (fine) levels.push_back(std::move(level));
    good = good && fine;
    std::printf("# %s%s\n", file.c_str(), fine ? "" : ": does not apply");
  }
  if (files.empty()) std::printf("# no policy file\n");
  const std::string path = look_at_program(program).path;
  std::stringstream options(
      policy::options_for(levels, path.empty() ? program : fs::canonical(path).string()));
  for (std::string item; std::getline(options, item, ',');) std::printf("%s\n", item.c_str());
  status = good ? kDone : kUsage;
}

}  // namespace

void add_policy(CLI::App& app, int& status) {
  CLI::App* const command = app.add_subcommand("policy", "Checks policy files, and shows what they come to");
  command->require_subcommand(1);

  auto files = std::make_shared<std::vector<std::string>>();
  CLI::App* const check_command = command->add_subcommand(
      "check", "Says what is wrong, as FILE:LINE:COLUMN; exit status 2 if anything is");
  check_command->add_option("file", *files, "policy files")->required();
  check_command->callback([files, &status] { check(*files, status); });

  struct Choice {
    std::string program;
    std::string file;
  };
  auto choice = std::make_shared<Choice>();
  CLI::App* const show_command =
      command->add_subcommand("show", "Says which options a program gets from the policy files");
  show_command->add_option("program", choice->program, "its path or name")->required();
  show_command->add_option("--policy", choice->file, "a file more, as of mseal run");
  show_command->callback([choice, &status] { show(choice->program, choice->file, status); });
}

}  // namespace libmseal::tool
