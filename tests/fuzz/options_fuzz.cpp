// Options: what is wrong is reported from inside the text, what is right is within bounds.
#include "policy/configuration/options.h"

#include "tests/fuzz/input.h"

using namespace libmseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto inside = [&](std::string_view part) {
    return part.empty() ||
           (part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size());
  };
  policy::Options options;
  policy::parse_options(text, options, [&](const policy::OptionError& error) {
    tests::must(inside(error.key) && inside(error.value) && !error.allowed.empty());
  });
  tests::must(inside(options.log) && inside(options.supervisor));
  tests::must(options.backend <= policy::Backend::kernel && options.require <= policy::Backend::kernel);
  tests::must(options.open_calls < 2 * policy::kBlockedShadowStack && options.harden < 16);
  tests::must(policy::name_of(options.backend) != "?");
  return 0;
}
