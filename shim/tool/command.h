// The commands of the mseal tool, one file each.
#pragma once

#include <CLI/CLI.hpp>

namespace libmseal::tool {

// Exit statuses, the same for every command.
enum Exit : int {
  kDone = 0,
  kNo = 1,            // the answer is no: nothing to report, not sealed, not available
  kUsage = 2,         // options, files or arguments that make no sense
  kCannotStart = 127  // as a shell has it
};

// Each adds its subcommand; what the command does, it returns by `status`.
void add_run(CLI::App& app, int& status);
void add_check(CLI::App& app, int& status);
void add_policy(CLI::App& app, int& status);
void add_report(CLI::App& app, int& status);
void add_status(CLI::App& app, int& status);

}  // namespace libmseal::tool
