// mseal run: starts a program under the library.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "policy/configuration/options.h"
#include "shim/common/printable.h"
#include "shim/tool/child_output.h"
#include "shim/tool/command.h"
#include "shim/tool/features.h"
#include "shim/tool/places.h"
#include "shim/tool/policy_reader.h"
#include "shim/tool/program_file.h"

namespace libmseal::tool {
namespace {

// Set for the second stage, in which the library is loaded into this tool. The tool is then the root of the
// tree, and the program is covered even if it can't load the library.
constexpr const char* kSecondStage = "MSEAL_RUN_SECOND_STAGE";

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Both texts with the separator between them, or the one that is not empty.
std::string joined(const std::string& first, char separator, const std::string& second) {
  return first.empty() || second.empty() ? first + second : first + separator + second;
}

// The supervisor, and perhaps the program, change their directory.
std::string absolute_path(const std::string& key, const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error) {
    throw std::runtime_error("--" + key + "=" + path + ": this directory is gone (" + error.message() +
                             "); give the whole path");
  }
  return absolute.string();
}

std::string option_text(const RunChoice& options) {
  std::string text;
  for (const auto& [key, value] : options.items) {
    const bool is_file = key == "events" || key == "supervisor" || (key == "policy" && value != "none") ||
                         (key == "log" && value != "stderr" && value != "syslog");
    const std::string item = key + "=" + (is_file ? absolute_path(key, value) : value);
    policy::Options parsed;
    policy::OptionError error;
    if (!policy::parse_option(item, parsed, error)) {
      throw std::invalid_argument("--" + item + " is not understood; allowed: " + std::string(error.allowed));
    }
    if (value.find(',') != std::string::npos) throw std::invalid_argument("--" + item + ": no commas");
    text = joined(text, ',', item);
  }
  return text;
}

// The options as the library will parse them. It will report mistakes itself.
policy::Options parsed(const std::string& text) {
  policy::Options options;
  policy::parse_options(text, options);
  return options;
}

// Reports mistakes that would be noticed only later or never.
void check(const policy::Options& options) {
  if (options.backend != policy::Backend::automatic && options.require > options.backend) {
    throw std::invalid_argument("require=" + std::string(name_of(options.require)) +
                                " is stronger than backend=" + std::string(name_of(options.backend)) +
                                ": the program could never start");
  }
  if (!options.policy.empty() && options.policy != "none") {
    const std::string file(options.policy);
    if (!print_errors(read_regular_policy_file(file)))
      throw std::invalid_argument("policy=" + file + " does not apply; the program is not started");
  }
}

// The options with those of policy files added. The library reports mistakes in these.
std::string with_policies(const std::string& text, const std::string& program) {
  const policy::Options options = parsed(text);
  if (options.policy == "none") return text;
  return joined(options_of(read_policy_levels(std::string(options.policy)), program), ',', text);
}

[[noreturn]] void become(const std::vector<std::string>& command) {
  execute(command);
  const int why = errno;
  std::fprintf(stderr, "mseal: %s: %s\n", shim::printable(command[0]).c_str(), std::strerror(why));
  std::exit(why == ENOENT ? kCannotStart : 126);
}

// Why the library will not be in the program; empty if it will be.
std::string why_not_reached(const std::string& command, bool covers_all, const std::string& library) {
  const ProgramFile program = look_at_program(command);
  if (program.path.empty()) return {};  // execvp will say so
  std::string why = why_not_preloaded(program);
  const bool may_be_served = covers_all && program.is_elf && !program.set_id;
  if (!why.empty() && may_be_served) {
    why = mseal_is_answered()
              ? "can seal nothing: it does not load the library, and a seccomp profile, such as a "
                "container's, answers its calls of mseal(2)"
              : "";
  }
  if (why.empty() && !program.interpreter.empty() && !program.other_machine) {
    const std::string said = complaints_of_linker(program, library);
    if (!said.empty()) why = "does not load the library: " + said;
  }
  return why.empty() ? why : shim::printable(program.path) + " " + why;
}

}  // namespace

void run(const RunChoice& options) {
  if (std::getenv(kSecondStage) != nullptr) {
    unsetenv(kSecondStage);
    become(options.command);
  }
  const std::string library = find_library();
  if (library.find_first_of(" :") != std::string::npos) {
    throw std::runtime_error(library +
                             " can't be preloaded: the dynamic linker ends a name in LD_PRELOAD at a "
                             "blank or a colon; install it elsewhere");
  }
  std::string all = joined(variable("MSEAL_OPTIONS"), ',', option_text(options));
  const std::string with_files = with_policies(all, options.command.front());
  const policy::Options effective = parsed(with_files);
  check(effective);
  // An audit needs an output.
  const bool heard = !effective.log.empty() || !effective.events.empty();
  if (effective.audit && !heard) all = joined("log=stderr", ',', all);
  const policy::BindingOption binding = binding_option(effective);
  const bool is_bound = !binding.key.empty();
  // What a policy file says about the program does not count: the tool is the root of the tree.
  const bool covers_all = parsed(all).covers_all;
  const bool is_unasked = options.quiet && !is_bound;
  const std::string why = is_unasked ? "" : why_not_reached(options.command.front(), covers_all, library);
  if (!why.empty()) {
    if (is_bound) {
      throw std::runtime_error(why + "; the program is not started, because " + std::string(binding.key) +
                               std::string(binding.value) + " is set");
    }
    std::fprintf(stderr, "mseal: %s\n", why.c_str());
  }
  setenv("MSEAL_OPTIONS", all.c_str(), 1);
  setenv("LD_PRELOAD", joined(library, ':', variable("LD_PRELOAD")).c_str(), 1);
  if (!covers_all) become(options.command);
  setenv(kSecondStage, "1", 1);
  std::vector<std::string> second{own_program(), "run", "--"};
  second.insert(second.end(), options.command.begin(), options.command.end());
  become(second);
}

}  // namespace libmseal::tool
