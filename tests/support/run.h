// Runs a program and collects what it says and how it ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

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

// MSEAL_TESTS_PATIENCE, which multiplies all time limits: for machines that are emulated or busy.
int patience();

Run run(const Command& command);

// What the command says is wanted under our preload, with these options.
Command preloaded(const std::string& options, std::vector<std::string> arguments,
                  std::function<void()> prepare = {});

}  // namespace libmseal::tests
