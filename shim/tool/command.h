// The commands of the mseal tool, one file each. main.cpp reads the command line.
//
// Each returns its exit status. An exception becomes a message on standard error and status 2.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace libmseal::tool {

// Exit statuses, the same for every command.
enum Exit : int {
  kDone = 0,
  kNo = 1,            // the answer is no: nothing to report, not sealed, not available
  kUsage = 2,         // options, files or arguments that make no sense
  kCannotStart = 127  // as in a shell
};

enum class Form { text, json, html };

struct RunChoice {
  std::vector<std::pair<std::string, std::string>> items;  // key and value of MSEAL_OPTIONS
  bool quiet = false;
  std::vector<std::string> command;
};
// Replaces this process by the program.
[[noreturn]] void run(const RunChoice& choice);

int check(Form form);

// `process`: empty for all that run with the library. `page`: the output file of Form::html.
int status(const std::string& process, Form form, const std::string& page);

struct ReportChoice {
  std::vector<std::string> files;
  Form form = Form::text;
  std::string page;        // the output file of Form::html
  bool exit_code = false;  // --exit-code
};
int report(const ReportChoice& choice);

int check_policies(const std::vector<std::string>& files);
// `file`: an additional policy file, or empty.
int show_policy(const std::string& program, const std::string& file);

struct SystemChoice {
  std::string root;        // of another system, or empty
  std::string library;     // empty: the one that mseal run uses
  bool no_setuid = false;  // proceed although setuid programs will stop working
};
int enable_system(const SystemChoice& choice);
int disable_system(const SystemChoice& choice);
int show_system(const SystemChoice& choice);

}  // namespace libmseal::tool
