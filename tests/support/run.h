// Runs a program and collects what it says and how it ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/support/patience.h"

namespace libmseal::tests {

struct Run {
  int status = -1;      // exit status; 128 + signal; -1 if it ran past the time limit and was killed
  bool exited = false;  // by itself
  std::string out;
  std::string err;
};

struct Command {
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;  // added to ours
  std::function<void()> prepare;                   // in the child, before exec
  int timeout_s = 60;
};

Run run(const Command& command);

// The command, run with the library preloaded and these options.
Command preloaded(const std::string& options, std::vector<std::string> arguments,
                  std::function<void()> prepare = {});

}  // namespace libmseal::tests
