// The same random operations under the kernel's own mseal(2) and under ours, compared step by step.
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/differential/allowed_differences.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

constexpr int kOperations = 1000;

Step parse(std::string_view line) {
  Step step;
  const std::size_t number = line.find(' ');
  const std::size_t equals = line.find(" = ");
  const std::size_t all = line.find(" all ");
  if (equals == std::string_view::npos || all == std::string_view::npos) return step;
  step.call = line.substr(number + 1, equals - number - 1);
  if (constexpr std::string_view kTouches = " touches"; step.call.ends_with(kTouches)) {
    step.call.remove_suffix(kTouches.size());
    step.touches = true;
  }
  std::string_view result = line.substr(equals + 3, all - equals - 3);
  if (const std::size_t sealed = result.find(" sealed "); sealed != std::string_view::npos) {
    step.sealed = result.substr(sealed + 8);
    result = result.substr(0, sealed);
  }
  step.result = result;
  step.all = line.substr(all + 5);
  return step;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> twin(const char* backend, std::uint64_t seed) {
  const Run result = run(preloaded(std::string("auto=off,backend=") + backend,
                                   {TWIN_PROGRAM, std::to_string(seed), std::to_string(kOperations)}));
  INFO(result.err);
  REQUIRE(result.status == 0);
  REQUIRE(result.err == "");
  std::vector<std::string> lines = lines_of(result.out);
  REQUIRE(lines.size() == kOperations);
  return lines;
}

TEST_CASE("differential: random operations have the outcome that the kernel's own mseal gives them") {
  if (!needs(kernel_has_mseal(), "a kernel with mseal(2)")) return;
  const char* const wanted = std::getenv("MSEAL_DIFFERENTIAL_SEEDS");
  const std::uint64_t seeds = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 100;
  std::map<std::string, long> allowed;
  long touching = 0;
  long refused = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const std::vector<std::string> kernel = twin("kernel", seed);
    const std::vector<std::string> ours = twin("seccomp", seed);
    for (std::size_t index = 0; index < kernel.size(); ++index) {
      const Step step = parse(ours[index]);
      touching += step.touches ? 1 : 0;
      refused += step.touches && step.result == "-1" ? 1 : 0;
      if (kernel[index] == ours[index]) continue;
      const auto name = allowed_difference(parse(kernel[index]), step);
      if (!name) FAIL("seed " << seed << "\nkernel: " << kernel[index] << "\nours:   " << ours[index]);
      ++allowed[std::string(*name)];
    }
  }
  CHECK(refused > static_cast<long>(seeds) * 50);
  std::ostringstream summary;
  summary << seeds * kOperations << " operations, " << touching << " touched a seal, " << refused
          << " refused";
  for (const auto& [name, count] : allowed) summary << "; " << name << ": " << count;
  WARN(summary.str());
}

}  // namespace
}  // namespace libmseal::tests
