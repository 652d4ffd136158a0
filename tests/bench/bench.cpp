// What sealing costs a call that touches no seal: the same loops inside one real program, round by round,
// with nothing, with the least filter there can be, with ours, and with every call notified: to the least
// supervisor there can be, and to ours. Medians; ratios say more than numbers, and only numbers of one run
// compare.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

constexpr int kRounds = 9;
constexpr std::size_t kCalls = 4;
using Costs = std::array<double, kCalls>;

struct Mode {
  const char* title;
  const char* probe;
  const char* options;  // null: without the preload
};

constexpr Mode kModes[] = {
    {"no shim", "none", nullptr},
    {"minimal filter, one argument", "floor", nullptr},
    {"libmseal, backend=supervised", "none", "backend=supervised"},
    {"libmseal, backend=filters", "none", "backend=filters"},
    {"libmseal, backend=kernel", "none", "backend=kernel"},
    {"every call notified", "notify", nullptr},
    {"the same, least supervisor", "least", nullptr},
    {"libmseal, coverage=all", "few", "backend=supervised,coverage=all"},
    {"libmseal, mode=audit", "few", "backend=supervised,mode=audit,events=/dev/null"},
};

Costs measure(const Mode& mode) {
  const std::string script =
      std::string("import ctypes; ctypes.CDLL('" BENCH_PROBE "').libmseal_bench(b'") + mode.probe + "')";
  Command command{{"/usr/bin/python3", "-c", script}, {}, {}, 120};
  if (mode.options != nullptr) {
    command.environment = {{"LD_PRELOAD", LIBMSEAL_SO}, {"MSEAL_OPTIONS", mode.options}};
  }
  const Run result = run(command);
  Costs costs{};
  std::istringstream numbers(result.out);
  for (double& cost : costs) numbers >> cost;
  if (result.status != 0 || !numbers) {
    std::fprintf(stderr, "%s: %s%s\n", mode.title, result.out.c_str(), result.err.c_str());
    std::exit(1);
  }
  return costs;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace
}  // namespace libmseal::tests

int main() {
  using namespace libmseal::tests;
  std::array<std::array<std::vector<double>, kCalls>, std::size(kModes)> samples;
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t mode = 0; mode < std::size(kModes); ++mode) {
      const Costs costs = measure(kModes[mode]);
      for (std::size_t call = 0; call < kCalls; ++call) samples[mode][call].push_back(costs[call]);
    }
  }
  std::array<Costs, std::size(kModes)> medians{};
  for (std::size_t mode = 0; mode < std::size(kModes); ++mode) {
    for (std::size_t call = 0; call < kCalls; ++call) medians[mode][call] = median(samples[mode][call]);
  }
  std::printf(
      "ns per call inside /usr/bin/python3, median of %d runs; in brackets what is added, and that in parts "
      "of the minimal filter's\n\n",
      kRounds);
  std::printf("%-30s %28s %28s %28s %28s\n", "", "mprotect(len 0)", "mmap+munmap", "getppid",
              "mprotect(own text)");
  for (std::size_t mode = 0; mode < std::size(kModes); ++mode) {
    std::printf("%-30s", kModes[mode].title);
    for (std::size_t call = 0; call < kCalls; ++call) {
      const double added = medians[mode][call] - medians[0][call];
      const double floor = medians[1][call] - medians[0][call];
      std::printf(" %10.1f (+%8.1f, %5.2f)", medians[mode][call], added, added / floor);
    }
    std::printf("\n");
  }
  return 0;
}
