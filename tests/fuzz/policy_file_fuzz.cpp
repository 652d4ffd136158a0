// Policy files: anything is read or complained of with its place, and what is read comes to options that are
// understood.
#include "policy/configuration/policy_file.h"

#include "policy/configuration/options.h"
#include "tests/fuzz/input.h"

using namespace libmseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<policy::PolicyError> errors;
  const std::vector<policy::PolicyFile> levels{
      policy::read_policy({reinterpret_cast<const char*>(data), size}, errors)};
  for (const policy::PolicyError& error : errors) {
    tests::must(error.line > 0 && error.column > 0 && !error.what.empty());
  }
  if (!errors.empty()) return 0;
  for (const char* const path : {"", "/usr/bin/node", "/bin/true"}) {
    const std::string text = policy::options_for(levels, path);
    policy::Options options;
    policy::parse_options(text, options, [](const policy::OptionError&) { tests::must(false); });
    tests::must(text.find('\0') == std::string::npos);
  }
  return 0;
}
