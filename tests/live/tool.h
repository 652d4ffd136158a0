// The mseal tool, run.
#pragma once

#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/run.h"

namespace libmseal::tests {

inline Run tool(std::vector<std::string> arguments, const std::string& options = "") {
  arguments.insert(arguments.begin(), MSEAL_TOOL);
  return run({std::move(arguments), {{"MSEAL_OPTIONS", options}}, {}, 60});
}

inline void refuses(std::vector<std::string> arguments, const std::string& why,
                    const std::string& options = "") {
  const Run result = tool(std::move(arguments), options);
  INFO(why << ": " << result.out << result.err);
  CHECK(result.status == 2);
  CHECK(result.out == "");
  CHECK_THAT(result.err, Catch::Matchers::StartsWith("mseal: ") && ContainsSubstring(why));
  CHECK_THAT(result.err, !ContainsSubstring("[json") && !ContainsSubstring("exception"));
}

}  // namespace libmseal::tests
