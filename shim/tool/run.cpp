// mseal run: starts a program under the library.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/options.h"
#include "shim/tool/command.h"
#include "shim/tool/places.h"
#include "shim/tool/policy_reader.h"
#include "shim/tool/program_file.h"

namespace libmseal::tool {
namespace {

// Set for the second stage, in which the library is loaded into this program, so that it is the root of the
// tree: what it starts then is covered even where no preload reaches.
constexpr const char* kSecondStage = "MSEAL_RUN_SECOND_STAGE";

struct RunOptions {
  std::vector<std::pair<std::string, std::string>> items;  // key and value of MSEAL_OPTIONS
  bool quiet = false;
  std::vector<std::string> command;
};

struct OptionHelp {
  const char* key;
  const char* help;
};

constexpr OptionHelp kOptions[] = {
    {"backend", "what enforces the seals: auto, kernel, seccomp, filter, libc"},
    {"require", "do not start with anything weaker: kernel, seccomp, filter, libc"},
    {"mode", "enforce; or audit: nothing is refused, what would have been is recorded"},
    {"auto", "what is sealed at start: elf; data: static data too; marked: objects that ask for it; off"},
    {"late", "which objects that dlopen brings are sealed, too: nodelete, all, off"},
    {"skip", "objects left out: patterns for their file names, joined by :"},
    {"mutable", "objects whose static data is left out of auto=data: patterns, as skip"},
    {"vdso", "1: the kernel's own pages in the process are sealed, too"},
    {"coverage", "fast; or all: every memory call is reported, and static programs are served"},
    {"scope", "tree; or process: programs that the program starts are left alone"},
    {"discard", "which memory keeps its contents: strict, kernel"},
    {"harden", "refuse writes past mappings: ptrace, process_vm_writev, userfaultfd, proc_mem, joined by +"},
    {"open", "entry points that are not blocked, joined by +: see libmseal-policy(5)"},
    {"policy", "a policy file, stronger than the system's and the user's; none: no file at all"},
    {"events", "a file for refusals, as JSON lines for mseal report"},
    {"log", "the supervisor's log: a file, stderr, syslog"},
    {"helper", "the supervisor program"},
};

bool asks(const RunOptions& options, std::string_view key, std::string_view value = {}) {
  for (const auto& [one, its] : options.items) {
    if (one == key && (value.empty() || its == value)) return true;
  }
  return false;
}

std::string option_text(const RunOptions& options) {
  std::string text;
  // An audit that nobody hears of is none.
  const bool heard = asks(options, "log") || asks(options, "events");
  if (asks(options, "mode", "audit") && !heard) text = "log=stderr";
  for (const auto& [key, value] : options.items) {
    // The program may change its folder, and the supervisor has.
    const bool is_file = key == "events" || key == "helper" || (key == "policy" && value != "none") ||
                         (key == "log" && value != "stderr" && value != "syslog");
    const std::string item = key + "=" + (is_file ? std::filesystem::absolute(value).string() : value);
    policy::Options parsed;
    policy::OptionError error;
    if (!policy::parse_option(item, parsed, error)) {
      throw std::invalid_argument("--" + item + " is not understood; allowed: " + std::string(error.allowed));
    }
    if (value.find(',') != std::string::npos) throw std::invalid_argument("--" + item + ": no commas");
    text += (text.empty() ? "" : ",") + item;
  }
  return text;
}

// The options as the library will have them. What makes no sense there is its to say.
policy::Options parsed(const std::string& text) {
  policy::Options options;
  policy::parse_options(text, options, [](const policy::OptionError&) {});
  return options;
}

// What would only come out later, or not at all.
void check(const policy::Options& options) {
  if (options.backend != policy::Backend::automatic && options.require > options.backend) {
    throw std::invalid_argument("require=" + std::string(name_of(options.require)) +
                                " is stronger than backend=" + std::string(name_of(options.backend)) +
                                ": the program could never start");
  }
  if (!options.policy.empty() && options.policy != "none") {
    bool good = true;
    const std::string file(options.policy);
    (void)read_policy_file(file, good);
    if (!good) throw std::invalid_argument("policy=" + file + " does not apply; the program is not started");
  }
  if (!options.audit) return;
  const bool log_is_file = options.log.starts_with('/');
  for (const auto& [key, path] : {std::pair("events", options.events), std::pair("log", options.log)}) {
    if (path.empty() || (key == std::string_view("log") && !log_is_file)) continue;
    const std::string file(path);
    // As the supervisor opens it: a pipe that nobody reads is no place for an audit.
    const int descriptor =
        open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    const int why = errno;
    if (descriptor < 0) {
      throw std::runtime_error(key + ("=" + file) + " can't be written: " +
                               (why == ENXIO ? "a pipe that nobody reads" : std::strerror(why)) +
                               "; the program is not started");
    }
    close(descriptor);
  }
}

bool covers_all(const RunOptions& options) {
  return asks(options, "coverage", "all");
}

[[noreturn]] void become(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const int why = errno;
  std::fprintf(stderr, "mseal: %s: %s\n", arguments[0], std::strerror(why));
  std::exit(why == ENOENT ? kCannotStart : 126);
}

void warn_if_not_reached(const RunOptions& options, const std::string& library) {
  const ProgramFile program = look_at_program(options.command.front());
  if (program.path.empty()) return;  // execvp will say so
  std::string why = why_not_preloaded(program);
  const bool served = covers_all(options) && program.is_elf && !program.set_id;
  if (!why.empty() && served) why.clear();
  if (why.empty() && !program.interpreter.empty() && !program.other_machine) {
    const std::string said = complaints_of_linker(program, library);
    if (!said.empty()) why = "does not load the library: " + said;
  }
  if (!why.empty()) std::fprintf(stderr, "mseal: %s %s\n", program.path.c_str(), why.c_str());
}

void start(const RunOptions& options) {
  if (std::getenv(kSecondStage) != nullptr) {
    unsetenv(kSecondStage);
    become(options.command);
  }
  const std::string library = find_library();
  const std::string text = option_text(options);
  const char* const inherited = std::getenv("MSEAL_OPTIONS");
  const std::string all = inherited == nullptr || *inherited == '\0' ? text
                          : text.empty()                             ? inherited
                                                                     : inherited + ("," + text);
  check(parsed(all));
  if (!options.quiet) warn_if_not_reached(options, library);
  setenv("MSEAL_OPTIONS", all.c_str(), 1);
  const char* const preload = std::getenv("LD_PRELOAD");
  const std::string preloads =
      preload == nullptr || *preload == '\0' ? library : library + ":" + std::string(preload);
  setenv("LD_PRELOAD", preloads.c_str(), 1);
  if (!covers_all(options)) become(options.command);
  setenv(kSecondStage, "1", 1);
  std::vector<std::string> second{own_program(), "run", "--"};
  second.insert(second.end(), options.command.begin(), options.command.end());
  become(second);
}

}  // namespace

void add_run(CLI::App& app, int& status) {
  (void)status;
  auto options = std::make_shared<RunOptions>();
  CLI::App* const run = app.add_subcommand("run", "Starts a program under the library");
  for (const OptionHelp& one : kOptions) {
    run->add_option_function<std::string>(
        std::string("--") + one.key,
        [options, &one](const std::string& value) { options->items.emplace_back(one.key, value); }, one.help);
  }
  run->add_flag_callback(
      "-v,--verbose", [options] { options->items.emplace_back("verbose", "1"); },
      "say which backend was picked; debug messages in the log");
  run->add_flag_callback(
      "--strict", [options] { options->items.emplace_back("strict", "1"); },
      "do not start with a bad option or a bad policy file");
  run->add_flag("-q,--quiet", options->quiet, "do not look at the program before it is started");
  run->add_option("command", options->command, "the program and its arguments")->required();
  run->positionals_at_end();
  run->callback([options] { start(*options); });
}

}  // namespace libmseal::tool
