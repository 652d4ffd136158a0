// mseal: runs programs under the library, and tells what it does.
#include <cstdio>
#include <exception>

#include "shim/tool/command.h"

int main(int count, char** arguments) {
  using namespace libmseal::tool;
  CLI::App app("Memory sealing for kernels that have none", "mseal");
  app.require_subcommand(1);
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
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mseal: %s\n", error.what());
    return kUsage;
  }
  return status;
}
