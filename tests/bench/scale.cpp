// Not a test: what sealing costs as seals grow in number. Run build/PRESET/tests/bench/bench_scale.
//
// It starts itself under the library once for each line, for filters never go away.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "mseal/mseal.h"
#include "shim/common/raw_syscall.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

using shim::raw_syscall;

constexpr std::size_t kPage = 4096;
constexpr int kRounds = 5;

template <class Work>
double microseconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
  return spent.count();
}

// A call that touches no seal, in ns.
double untouched_call(void* page) {
  constexpr int kCount = 50'000;
  return microseconds([page] {
           for (int index = 0; index < kCount; ++index) (void)raw_syscall(__NR_mprotect, page, 0, PROT_READ);
         }) *
         1000 / kCount;
}

// Seals `count` scattered pages, and prints: us a seal, ns of a call before, ns of it after.
int measure(bool batch, std::size_t count) {
  char* const base = static_cast<char*>(
      mmap(nullptr, (2 * count + 1) * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* const page = base + (2 * count) * kPage;
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < count; ++index) ranges.push_back({base + 2 * index * kPage, kPage});
  (void)untouched_call(page);
  const double before = untouched_call(page);
  bool sealed = true;
  const double spent = microseconds([&] {
    if (batch) {
      sealed = mseal_ranges(ranges.data(), count, 0) == 0;
    } else {
      for (const mseal_range& one : ranges) sealed = sealed && mseal(one.addr, one.len, 0) == 0;
    }
  });
  if (!sealed) return 1;
  (void)untouched_call(page);
  std::printf("%f %f %f\n", spent / static_cast<double>(count), before, untouched_call(page));
  return 0;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void print_line(const char* program, bool batch, std::size_t count) {
  std::vector<double> seal;
  std::vector<double> before;
  std::vector<double> after;
  for (int round = 0; round < kRounds; ++round) {
    const Run result =
        run(preloaded("backend=seccomp", {program, batch ? "batch" : "single", std::to_string(count)}));
    double values[3];
    if (result.status != 0 ||
        std::sscanf(result.out.c_str(), "%lf %lf %lf", &values[0], &values[1], &values[2]) != 3) {
      std::printf("%6zu %-7s did not fit: %s", count, batch ? "batch" : "single", result.err.c_str());
      return;
    }
    seal.push_back(values[0]);
    before.push_back(values[1]);
    after.push_back(values[2]);
  }
  const double added = median(after) - median(before);
  std::printf("%6zu %-7s %10.1f %12.0f %12.0f %12.1f\n", count, batch ? "batch" : "single", median(seal),
              median(before), median(after), added / static_cast<double>(count));
}

}  // namespace
}  // namespace libmseal::tests

int main(int count, char** arguments) {
  using namespace libmseal::tests;
  if (count == 3)
    return measure(std::string_view(arguments[1]) == "batch", std::strtoul(arguments[2], nullptr, 10));
  std::printf("medians of %d runs\n%6s %-7s %10s %12s %12s %12s\n", kRounds, "seals", "by", "us a seal",
              "ns before", "ns after", "ns a seal");
  for (const std::size_t seals : {1, 10, 100, 300, 700}) print_line(arguments[0], false, seals);
  for (const std::size_t seals : {10, 100, 700, 2000, 5000}) print_line(arguments[0], true, seals);
  return 0;
}
