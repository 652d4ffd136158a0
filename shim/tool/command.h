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
  kCannotStart = 127  // as a shell has it
};

enum class Form { text, json, html };

struct RunChoice {
  std::vector<std::pair<std::string, std::string>> items;  // key and value of MSEAL_OPTIONS
  bool quiet = false;
  std::vector<std::string> command;
};
// Becomes the program.
[[noreturn]] void run(const RunChoice& choice);

int check(Form form);

// Of one process, or of all that run with the library if it is empty. `page`: the file of Form::html.
int status(const std::string& process, Form form, const std::string& page);

struct ReportChoice {
  std::vector<std::string> files;
  Form form = Form::text;
  std::string page;        // the file of Form::html
  bool exit_code = false;  // tells whether anything was refused
};
int report(const ReportChoice& choice);

int check_policies(const std::vector<std::string>& files);
// `file`: one more than those that the library looks for, or empty.
int show_policy(const std::string& program, const std::string& file);

struct SystemChoice {
  std::string root;        // another system's, or empty
  std::string library;     // or empty: the one that mseal run takes
  bool no_setuid = false;  // go on where programs that gain privileges will stop working
};
int enable_system(const SystemChoice& choice);
int disable_system(const SystemChoice& choice);
int show_system(const SystemChoice& choice);

}  // namespace libmseal::tool
