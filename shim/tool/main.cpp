// The command line of mseal, which runs programs under the library and reports what it does. Each command has
// its own file.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "policy/protocol/layout.h"
#include "shim/common/printable.h"
#include "shim/common/standard_descriptors.h"
#include "shim/tool/command.h"

namespace libmseal::tool {
namespace {

struct OptionHelp {
  const char* key;
  const char* help;
};

constexpr OptionHelp kOptions[] = {
    {"backend", "what enforces the seals: auto, kernel, supervised, filters, libc"},
    {"require", "do not start the program under a weaker backend: kernel, supervised, filters, libc"},
    {"mode", "enforce; or audit: refuse nothing, record the calls that enforce would refuse"},
    {"auto",
     "what to seal at start: elf (code, read-only data, RELRO), data (static data too), marked (objects that "
     "ask for it), off"},
    {"late", "which of the objects that dlopen loads are sealed: nodelete, all, off"},
    {"skip", "objects not to seal: patterns for their file names, joined by :"},
    {"mutable", "objects whose static data auto=data does not seal: patterns, as for skip"},
    {"vdso", "1: also seal the pages that the kernel maps into the process (vdso, vvar)"},
    {"coverage",
     "fast; or all: every memory call except brk goes to the supervisor, which also serves static programs"},
    {"scope", "tree; or process: do not seal programs that the program starts"},
    {"discard", "which sealed memory keeps its contents: strict, kernel"},
    {"sealable", "whether mseal accepts only memory mapped with MAP_SEALABLE: optional, required"},
    {"harden",
     "refuse writes that change no mapping: ptrace, process_vm_writev, userfaultfd, proc_mem, joined by +"},
    {"open", "blocked calls to allow again, joined by +: see libmseal-policy(5)"},
    {"policy", "a policy file that overrides the system's and the user's; none: read no policy file"},
    {"events", "a file for refused calls, as JSON lines for mseal report"},
    {"log", "the supervisor's log: a file, stderr, syslog"},
    {"supervisor", "the supervisor program"},
};

// What was chosen on the command line, for all commands.
struct Choices {
  int status = kDone;
  bool json = false;
  std::string page;  // where to write HTML; empty: nowhere
  RunChoice run;
  ReportChoice report;
  std::string process;
  std::string program;
  std::string policy;
  std::vector<std::string> policies;
  SystemChoice system;

  [[nodiscard]] Form form() const { return json ? Form::json : page.empty() ? Form::text : Form::html; }
};

void add_run(CLI::App& app, Choices& choices) {
  CLI::App* const command = app.add_subcommand("run", "Starts a program under the library");
  RunChoice& run = choices.run;
  for (const OptionHelp& one : kOptions) {
    command->add_option_function<std::string>(
        std::string("--") + one.key,
        [&run, &one](const std::string& value) { run.items.emplace_back(one.key, value); }, one.help);
  }
  command->add_flag_callback(
      "-v,--verbose", [&run] { run.items.emplace_back("verbose", "1"); },
      "print the backend; write debug messages to the log");
  command->add_flag_callback(
      "--strict", [&run] { run.items.emplace_back("strict", "1"); },
      "do not start the program if an option or a policy file is wrong");
  command->add_flag("-q,--quiet", run.quiet, "do not check whether the program will load the library");
  command->add_option("command", run.command, "the program and its arguments")->required();
  command->positionals_at_end();
  command->callback([&run] { tool::run(run); });
}

void add_check(CLI::App& app, Choices& choices) {
  CLI::App* const command = app.add_subcommand("check",
                                               "Prints the features of this kernel and which backend "
                                               "programs get; exit status 1 if it is weaker than supervised");
  command->add_flag("--json", choices.json, "print JSON");
  command->callback([&choices] { choices.status = check(choices.form()); });
}

void add_json_and_html(CLI::App& command, Choices& choices) {
  auto* const json = command.add_flag("--json", choices.json, "print JSON");
  command
      .add_flag("--html{-}", choices.page,
                "a page with a picture of the address space; --html=FILE writes it to a file")
      ->excludes(json);
}

void add_status(CLI::App& app, Choices& choices) {
  CLI::App* const command = app.add_subcommand("status",
                                               "Shows which mappings of a process are sealed; exit status 1 "
                                               "if none is, or if no process has the library");
  command->add_option("pid", choices.process, "the process; without it, list all that run with the library");
  add_json_and_html(*command, choices);
  command->callback([&choices] { choices.status = status(choices.process, choices.form(), choices.page); });
}

void add_report(CLI::App& app, Choices& choices) {
  CLI::App* const command = app.add_subcommand(
      "report", "Groups recorded events by call site and object; exit status 1 if there are none");
  command
      ->add_option("file", choices.report.files,
                   "written by `mseal run --mode=audit --events=FILE`; - is standard input")
      ->required();
  add_json_and_html(*command, choices);
  command->add_flag(
      "--exit-code", choices.report.exit_code,
      "exit status 0 if the files hold no event, 1 if they hold any or if some were not recorded");
  command->callback([&choices] {
    choices.report.form = choices.form();
    choices.report.page = choices.page;
    choices.status = report(choices.report);
  });
}

void add_policy(CLI::App& app, Choices& choices) {
  CLI::App* const command =
      app.add_subcommand("policy", "Checks policy files, and shows the resulting options");
  command->require_subcommand(1);
  CLI::App* const check = command->add_subcommand(
      "check", "Prints each mistake as FILE:LINE:COLUMN; exit status 2 if there is one");
  check->add_option("file", choices.policies, "policy files")->required();
  check->callback([&choices] { choices.status = check_policies(choices.policies); });
  CLI::App* const show =
      command->add_subcommand("show", "Prints the options that a program gets from the policy files");
  show->add_option("program", choices.program, "its path or name")->required();
  show->add_option("--policy", choices.policy, "another file, as for mseal run");
  show->callback([&choices] { choices.status = show_policy(choices.program, choices.policy); });
}

void add_system(CLI::App& app, Choices& choices) {
  CLI::App* const command =
      app.add_subcommand("system", "Loads the library into every program of the system (/etc/ld.so.preload)");
  command->require_subcommand(1);
  SystemChoice& system = choices.system;
  CLI::App* const enable =
      command->add_subcommand("enable", "Enables it, after a trial with a few programs; needs root");
  enable->add_option("--library", system.library, "the library, instead of the one that mseal run uses");
  enable->add_flag("--no-setuid", system.no_setuid,
                   "proceed even if sudo and other setuid programs stop working for ordinary users");
  enable->callback([&choices] { choices.status = enable_system(choices.system); });
  CLI::App* const disable = command->add_subcommand("disable", "Disables it; needs root");
  disable->callback([&choices] { choices.status = disable_system(choices.system); });
  CLI::App* const show = command->add_subcommand(
      "status", "Prints whether it is enabled and which policy applies; exit status 1: disabled or broken");
  show->callback([&choices] { choices.status = show_system(choices.system); });
  for (CLI::App* const one : {enable, disable, show})
    one->add_option("--root", system.root, "work on the system below this directory");
}

// One line for a command line that can't be parsed.
std::string explain(const CLI::App* app, const CLI::Error& error) {
  std::string what = error.what();
  // CLI11 first reports what is missing, even if a misspelt word is the cause.
  if (const auto unknown = app->remaining(true); error.get_name() == "RequiredError" && !unknown.empty())
    what = unknown.front() + " is not understood";
  std::string command = app->get_name();
  for (auto used = app->get_subcommands(); !used.empty(); used = used.front()->get_subcommands())
    command += " " + used.front()->get_name();
  return "mseal: " + shim::printable(what) + "; see " + command + " --help\n";
}

// CLI11 takes the next word as the value of --option=, which may be the program.
void refuse_empty_values(int count, char** arguments) {
  for (int at = 2; at < count && arguments[at][0] == '-'; ++at) {
    const std::string_view word = arguments[at];
    if (word == "--") return;
    if (word.ends_with('=')) throw std::invalid_argument(std::string(word) + " has no value");
  }
}

int parse(int count, char** arguments) {
  CLI::App app("Runs programs with sealed memory, and inspects them", "mseal");
  app.require_subcommand(1);
  app.set_version_flag("--version",
                       "mseal " LIBMSEAL_VERSION ", layout " + std::to_string(policy::kLayoutVersion),
                       "print the version");
  app.get_formatter()->column_width(34);
  app.failure_message(explain);
  Choices choices;
  add_run(app, choices);
  add_check(app, choices);
  add_status(app, choices);
  add_report(app, choices);
  add_policy(app, choices);
  add_system(app, choices);
  refuse_empty_values(count, arguments);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  return choices.status;
}

}  // namespace
}  // namespace libmseal::tool

int main(int count, char** arguments) {
  using namespace libmseal;
  shim::occupy_standard_descriptors();
  int status = tool::kUsage;
  try {
    status = tool::parse(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mseal: %s\n", shim::printable(error.what()).c_str());
  }
  errno = 0;
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fprintf(stderr, "mseal: standard output: %s\n",
               errno != 0 ? std::strerror(errno) : "it can't be written");
  return tool::kUsage;
}
