// mseal check: prints the kernel features, the backend that programs get, and why.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "shim/common/json_text.h"
#include "shim/common/printable.h"
#include "shim/tool/child_output.h"
#include "shim/tool/command.h"
#include "shim/tool/features.h"
#include "shim/tool/places.h"

namespace libmseal::tool {
namespace {

// The backend that a program really gets, and what the library prints about it.
struct Attempt {
  std::string backend = "none";
  std::string reason;  // the line about the backend, or the last one
  std::vector<std::string> lines;
};

// Uses the MSEAL_OPTIONS of the user, except those that would suppress the output.
Attempt try_backend(const std::string& library, const std::string& options) {
  const std::string program = own_program();
  const auto print_help = [&](int out) {
    setenv("LD_PRELOAD", library.c_str(), 1);
    setenv("MSEAL_OPTIONS",
           (options + (options.empty() ? "" : ",") + "auto=elf,scope=tree,verbose=1").c_str(), 1);
    silence(1);
    dup2(out, 2);
    execl(program.c_str(), "mseal", "--help", nullptr);
    _exit(127);
  };
  Attempt attempt;
  std::istringstream lines(output_of_child(print_help).said);
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kLibrary = "libmseal: ";
    constexpr std::string_view kBackend = "backend ";
    if (!line.starts_with(kLibrary)) continue;
    attempt.lines.push_back(line.substr(kLibrary.size()));
    if (attempt.backend != "none") continue;
    attempt.reason = attempt.lines.back();
    if (!attempt.reason.starts_with(kBackend)) continue;
    const std::size_t end = attempt.reason.find(' ', kBackend.size());
    attempt.backend = attempt.reason.substr(kBackend.size(), end - kBackend.size());
  }
  return attempt;
}

}  // namespace

int check(Form form) {
  const std::string library = find_library();
  utsname system{};
  uname(&system);
  const char* const inherited = std::getenv("MSEAL_OPTIONS");
  const std::string options = inherited == nullptr ? "" : inherited;
  const Attempt attempt = try_backend(library, options);
  const bool strong = attempt.backend == "kernel" || attempt.backend == "supervised";
  const bool sealed = std::ranges::none_of(attempt.lines, [](const std::string& line) {
    return line.find("are not sealed") != std::string::npos;
  });
  const int status = strong && sealed ? kDone : kNo;
  if (form == Form::json) {
    nlohmann::ordered_json all{{"kernel", system.release}, {"machine", system.machine}, {"library", library}};
    for (const Feature& feature : features()) all["features"][feature.name] = feature.present;
    all["options"] = options;
    all["backend"] = attempt.backend;
    all["reason"] = attempt.reason;
    all["said"] = attempt.lines;
    std::printf("%s\n", shim::json_text(all).c_str());
    return status;
  }
  std::printf("Linux %s, %s\n%s\n\n", system.release, system.machine, library.c_str());
  for (const Feature& feature : features()) {
    std::printf("  %-20s %s%s%s\n", feature.name, feature.present ? "yes" : "no", feature.present ? "" : ": ",
                feature.present ? "" : feature.without.c_str());
  }
  std::printf("\n");
  if (!options.empty()) std::printf("with MSEAL_OPTIONS=%s:\n", shim::printable(options).c_str());
  for (const std::string& line : attempt.lines) std::printf("%s\n", line.c_str());
  if (attempt.lines.empty())
    std::printf(
        "no message from the library: it cannot be loaded, or it has already reported a weaker backend in "
        "this process tree\n");
  return status;
}

}  // namespace libmseal::tool
