// The same random operations under the kernel's own mseal(2) and under ours, compared step by step.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/differential/allowed_differences.h"
#include "tests/differential/operation.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

constexpr int kOperations = 1000;

using Operations = std::vector<Operation>;

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

std::vector<std::string> twin(const std::string& backend, const Operations& operations) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("libmseal-twin-" + std::to_string(::getpid()));
  {
    std::ofstream file(path);
    for (const Operation& operation : operations) file << to_line(operation) << '\n';
  }
  const Run result = run(preloaded("auto=off,backend=" + backend, {TWIN_PROGRAM, path.string()}));
  std::filesystem::remove(path);
  std::vector<std::string> lines = lines_of(result.out);
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK(lines.size() == operations.size());
  lines.resize(operations.size());
  return lines;
}

struct Tally {
  std::map<std::string, long> allowed;
  long touching = 0;
  long refused = 0;
};

struct Difference {
  std::size_t step;
  std::string kernel;
  std::string other;
};

// The first step whose outcome under `backend` is not the kernel's, nor may differ from it.
std::optional<Difference> compare(const std::string& backend, const Operations& operations, Tally& tally) {
  const std::vector<std::string> kernel = twin("kernel", operations);
  const std::vector<std::string> ours = twin(backend, operations);
  for (std::size_t index = 0; index < kernel.size(); ++index) {
    const Step step = parse(ours[index]);
    tally.touching += step.touches ? 1 : 0;
    tally.refused += step.touches && step.result == "-1" ? 1 : 0;
    if (kernel[index] == ours[index]) continue;
    const auto name = allowed_difference(parse(kernel[index]), step);
    if (!name) return Difference{index, kernel[index], ours[index]};
    ++tally.allowed[std::string(*name)];
  }
  return std::nullopt;
}

// Leaves out whatever the difference does not need.
Operations shrink(const std::string& backend, Operations operations, std::size_t failing) {
  Tally ignored;
  operations.resize(failing + 1);
  for (std::size_t piece = operations.size() / 2; piece > 0; piece = piece == 1 ? 0 : (piece + 1) / 2) {
    for (std::size_t at = 0; at + piece < operations.size();) {
      Operations fewer = operations;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at),
                  fewer.begin() + static_cast<std::ptrdiff_t>(at + piece));
      if (const auto still = compare(backend, fewer, ignored)) {
        fewer.resize(still->step + 1);
        operations = fewer;
      } else {
        at += piece;
      }
    }
  }
  return operations;
}

TEST_CASE("differential: random operations have the outcome that the kernel's own mseal gives them") {
  if (!needs_mseal()) return;
  const char* const wanted = std::getenv("MSEAL_DIFFERENTIAL_SEEDS");
  const std::uint64_t seeds = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 100;
  Tally tally;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Operations operations = generate(seed, kOperations);
    if (const auto difference = compare("seccomp", operations, tally)) {
      const Operations fewest = shrink("seccomp", operations, difference->step);
      FAIL("seed " << seed << "\nkernel: " << difference->kernel << "\nours:   " << difference->other
                   << "\nas a program, to run under backend=kernel and backend=seccomp:\n"
                   << to_program(fewest));
    }
  }
  CHECK(tally.refused > static_cast<long>(seeds) * 50);
  std::ostringstream summary;
  summary << seeds * kOperations << " operations, " << tally.touching << " touched a seal, " << tally.refused
          << " refused";
  for (const auto& [name, count] : tally.allowed) summary << "; " << name << ": " << count;
  WARN(summary.str());
}

// backend=libc does not refuse raw system calls: the comparison must find that, and tell it in a few lines.
TEST_CASE("differential: a real difference is found, shrunk, and shown by a program") {
  if (!needs_mseal()) return;
  const Operations operations = generate(7, 300);
  Tally tally;
  const auto difference = compare("libc", operations, tally);
  REQUIRE(difference);
  const Operations fewest = shrink("libc", operations, difference->step);
  CHECK(fewest.size() <= 3);

  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("libmseal-shrunk-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string program = (folder / "program").string();
  std::ofstream(program + ".c") << to_program(fewest);
  const Run built =
      run({{"cc", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", program, program + ".c"}, {}, {}, 60});
  INFO(built.err << to_program(fewest));
  REQUIRE(built.status == 0);
  const Run kernel = run(preloaded("auto=off,backend=kernel", {program}));
  const Run libc = run(preloaded("auto=off,backend=libc", {program}));
  fs::remove_all(folder);
  CHECK(kernel.status == 0);
  CHECK(libc.status == 0);
  CHECK(kernel.out != libc.out);
}

}  // namespace
}  // namespace libmseal::tests
