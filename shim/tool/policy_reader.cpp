#include "shim/tool/policy_reader.h"

#include <cstdio>
#include <vector>

#include "shim/tool/text_file.h"

namespace libmseal::tool {

policy::PolicyFile read_policy_file(const std::string& path, bool& good) {
  constexpr std::size_t kLargest = std::size_t{1} << 20;
  std::vector<policy::PolicyError> errors;
  policy::PolicyFile policy = policy::read_policy(TextFile(path).whole(kLargest), errors);
  for (const policy::PolicyError& error : errors)
    std::fprintf(stderr, "%s:%u:%u: %s\n", path.c_str(), error.line, error.column, error.what.c_str());
  good = good && errors.empty();
  return policy;
}

}  // namespace libmseal::tool
