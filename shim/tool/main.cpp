// mseal: runs programs under the library, and tells what it does.
#include <cstdio>
#include <exception>
#include <string>

#include "policy/layout.h"
#include "shim/tool/command.h"

namespace libmseal::tool {
namespace {

int run(int count, char** arguments) {
  CLI::App app("Memory sealing for kernels that have none", "mseal");
  app.require_subcommand(1);
  app.set_version_flag("--version",
                       "mseal " LIBMSEAL_VERSION ", layout " + std::to_string(policy::kLayoutVersion),
                       "say which version this is");
  app.get_formatter()->column_width(34);
  int status = kDone;
  add_run(app, status);
  add_check(app, status);
  add_status(app, status);
  add_report(app, status);
  add_policy(app, status);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  return status;
}

}  // namespace
}  // namespace libmseal::tool

int main(int count, char** arguments) {
  try {
    return libmseal::tool::run(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mseal: %s\n", error.what());
    return libmseal::tool::kUsage;
  }
}
