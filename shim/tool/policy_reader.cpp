#include "shim/tool/policy_reader.h"

#include <cstdio>
#include <vector>

#include "shim/tool/text_file.h"

namespace libmseal::tool {

policy::PolicyFile read_policy_file(const std::string& path, bool& good) {
  std::vector<policy::PolicyError> errors;
  policy::PolicyFile policy = policy::read_policy(read_text(path), errors);
  for (const policy::PolicyError& error : errors)
    std::fprintf(stderr, "%s:%u:%u: %s\n", path.c_str(), error.line, error.column, error.what.c_str());
  good = good && errors.empty();
  return policy;
}

}  // namespace libmseal::tool
