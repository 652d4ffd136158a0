// Not a test: what sealing costs as seals grow in number. Run build/PRESET/tests/bench/bench_scale.
//
// It starts itself under the library once for each line, for filters never go away.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
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

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// A call that touches no seal, in ns.
double untouched_call(void* page, int count) {
  return microseconds([=] {
           for (int index = 0; index < count; ++index) (void)raw_syscall(__NR_mprotect, page, 0, PROT_READ);
         }) *
         1000 / count;
}

// How seals come.
struct Way {
  const char* name;
  const char* options;
  bool notified;  // calls cost so much that few will do
};

constexpr Way kSingle{"mseal", "backend=supervised", false};
constexpr Way kBatch{"mseal_ranges", "backend=supervised", false};
constexpr Way kBirth{"PROT_SEAL", "backend=supervised", false};
constexpr Way kSealable{"MAP_SEALABLE", "backend=supervised", false};
constexpr Way kSingleAll{"mseal, all", "backend=supervised,coverage=all", true};
constexpr Way kBatchAll{"mseal_ranges, all", "backend=supervised,coverage=all", true};
constexpr Way kWays[] = {kSingle, kBatch, kBirth, kSealable, kSingleAll, kBatchAll};

bool seal_each(const std::vector<mseal_range>& ranges) {
  return std::ranges::all_of(ranges, [](const mseal_range& one) { return mseal(one.addr, one.len, 0) == 0; });
}

// Different protections by turns, so that no two become one mapping.
bool map_sealed(std::size_t count) {
  for (std::size_t index = 0; index < count; ++index) {
    const int protection = index % 2 == 0 ? PROT_READ : PROT_READ | PROT_WRITE;
    if (mmap(nullptr, kPage, protection | PROT_SEAL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
      return false;
  }
  return true;
}

bool seal_sealable(std::size_t count) {
  for (std::size_t index = 0; index < count; ++index) {
    void* const page = mmap(nullptr, kPage, index % 2 == 0 ? PROT_READ : PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_SEALABLE, -1, 0);
    if (page == MAP_FAILED || mseal(page, kPage, 0) != 0) return false;
  }
  return true;
}

// Seals `count` scattered pages, and prints: us a seal, ns of a call before, ns of it after.
int measure(const Way& way, std::size_t count) {
  const std::string_view name = way.name;
  const int calls = way.notified ? 1'000 : 50'000;
  char* const base = static_cast<char*>(
      mmap(nullptr, (2 * count + 1) * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* const page = base + (2 * count) * kPage;
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < count; ++index) ranges.push_back({base + 2 * index * kPage, kPage});
  (void)untouched_call(page, calls);
  const double before = untouched_call(page, calls);
  bool sealed = true;
  const double spent = microseconds([&] {
    if (name.starts_with("mseal_ranges")) {
      sealed = mseal_ranges(ranges.data(), count, 0) == 0;
    } else if (name.starts_with("mseal")) {
      sealed = seal_each(ranges);
    } else if (name == kSealable.name) {
      sealed = seal_sealable(count);
    } else {
      sealed = map_sealed(count);
    }
  });
  if (!sealed) return 1;
  (void)untouched_call(page, calls);
  std::printf("%f %f %f\n", spent / static_cast<double>(count), before, untouched_call(page, calls));
  return 0;
}

void print_line(const char* program, const Way& way, std::size_t count) {
  std::vector<double> seal;
  std::vector<double> before;
  std::vector<double> after;
  for (int round = 0; round < kRounds; ++round) {
    const Run result = run(preloaded(way.options, {program, way.name, std::to_string(count)}));
    double values[3];
    if (result.status != 0 ||
        std::sscanf(result.out.c_str(), "%lf %lf %lf", &values[0], &values[1], &values[2]) != 3) {
      std::printf("%6zu %-18s did not fit: %s", count, way.name, result.err.c_str());
      return;
    }
    seal.push_back(values[0]);
    before.push_back(values[1]);
    after.push_back(values[2]);
  }
  const double added = median(after) - median(before);
  std::printf("%6zu %-18s %10.1f %12.0f %12.0f %12.2f\n", count, way.name, median(seal), median(before),
              median(after), added / static_cast<double>(count));
  std::fflush(stdout);
}

// The seccomp() call that a seal by filter makes: as many instructions, none of which is met.
int measure_seccomp() {
  constexpr std::size_t kInstructions = 29;
  constexpr int kCount = 100;
  std::vector<sock_filter> program(kInstructions, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{kInstructions, program.data()};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  bool installed = true;
  const double spent = microseconds([&] {
    for (int index = 0; index < kCount; ++index) {
      installed =
          installed && raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
                                   SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter) == 0;
    }
  });
  std::printf("%f 0 0\n", spent / kCount);
  return installed ? 0 : 1;
}

// One seal while other threads compute: they have to be stopped for it.
int measure_beside_threads(std::size_t threads) {
  constexpr std::size_t kSeals = 20;
  std::atomic<bool> done = false;
  std::vector<std::thread> busy;
  for (std::size_t index = 0; index < threads; ++index) {
    busy.emplace_back([&] {
      while (!done.load(std::memory_order_relaxed)) {
      }
    });
  }
  char* const base =
      static_cast<char*>(mmap(nullptr, 2 * kSeals * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  bool sealed = true;
  std::vector<double> spent;
  for (std::size_t index = 0; index < kSeals; ++index) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    spent.push_back(microseconds([&] { sealed = sealed && mseal(base + 2 * index * kPage, kPage, 0) == 0; }));
  }
  done = true;
  for (std::thread& one : busy) one.join();
  std::printf("%f 0 0\n", median(spent));
  return sealed ? 0 : 1;
}

// Refused calls of a program with so many mappings, by libc, which tells the supervisor where they come from.
int measure_refusals(std::size_t mappings) {
  constexpr int kCount = 50'000;
  char* const sealed =
      static_cast<char*>(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* const base =
      static_cast<char*>(mmap(nullptr, 2 * mappings * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  bool good = mseal(sealed, kPage, 0) == 0;
  for (std::size_t index = 0; index < mappings / 2; ++index)
    good = good && mprotect(base + 4 * index * kPage, kPage, PROT_READ) == 0;
  const auto refuse = [&] {
    for (int index = 0; index < kCount; ++index) good = good && munmap(sealed, kPage) != 0;
  };
  refuse();  // the first ones are recorded, and the supervisor looks at the mappings of up to fifty a second
  const double spent = microseconds(refuse);
  std::printf("%f 0 0\n", spent / kCount);
  return good ? 0 : 1;
}

// Starts of a short program beside others that do nothing.
int measure_starts(std::size_t others) {
  constexpr int kCount = 300;
  const auto start = [](const char* program, const char* argument) {
    const char* const arguments[] = {program, argument, nullptr};
    pid_t child = 0;
    return posix_spawn(&child, program, nullptr, nullptr, const_cast<char* const*>(arguments), environ) == 0
               ? child
               : -1;
  };
  std::vector<pid_t> sleeping;
  for (std::size_t index = 0; index < others; ++index) sleeping.push_back(start("/bin/sleep", "1000"));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  bool good = std::ranges::find(sleeping, -1) == sleeping.end();
  const double spent = microseconds([&] {
    for (int index = 0; index < kCount; ++index)
      good = waitpid(start("/bin/true", nullptr), nullptr, 0) > 0 && good;
  });
  for (const pid_t one : sleeping) {
    if (one > 0 && kill(one, SIGKILL) == 0) waitpid(one, nullptr, 0);
  }
  std::printf("%f 0 0\n", spent / kCount);
  return good ? 0 : 1;
}

void print_latency(const char* title, const char* program, const char* options, const char* what,
                   const char* argument = "100") {
  std::vector<double> spent;
  for (int round = 0; round < kRounds; ++round) {
    Command command{{program, what, argument}, {}, {}, 60};
    if (options != nullptr) command = preloaded(options, command.arguments);
    const Run result = run(command);
    double one = 0;
    if (result.status != 0 || std::sscanf(result.out.c_str(), "%lf", &one) != 1) {
      std::printf("%-60s not here\n", title);
      return;
    }
    spent.push_back(one);
  }
  std::printf("%-60s %8.1f\n", title, median(spent));
}

}  // namespace
}  // namespace libmseal::tests

int main(int count, char** arguments) {
  using namespace libmseal::tests;
  if (count == 3) {
    const std::string_view what = arguments[1];
    if (what == "seccomp") return measure_seccomp();
    if (what == "busy threads") return measure_beside_threads(std::strtoul(arguments[2], nullptr, 10));
    if (what == "refusals") return measure_refusals(std::strtoul(arguments[2], nullptr, 10));
    if (what == "starts") return measure_starts(std::strtoul(arguments[2], nullptr, 10));
    for (const Way& way : kWays) {
      if (what == way.name) return measure(way, std::strtoul(arguments[2], nullptr, 10));
    }
    return 2;
  }
  const char* const self = arguments[0];
  std::printf("medians of %d runs\n%6s %-18s %10s %12s %12s %12s\n", kRounds, "seals", "by", "us a seal",
              "ns before", "ns after", "ns a seal");
  for (const std::size_t seals : {1, 10, 100, 300, 700}) print_line(self, kSingle, seals);
  for (const std::size_t seals : {10, 100, 700, 2000, 5000}) print_line(self, kBatch, seals);
  for (const std::size_t seals : {100, 60000}) print_line(self, kBirth, seals);
  for (const std::size_t seals : {100, 10000}) print_line(self, kSealable, seals);
  for (const std::size_t seals : {100, 1000, 10000}) print_line(self, kSingleAll, seals);
  for (const std::size_t seals : {100, 1000, 10000}) print_line(self, kBatchAll, seals);
  std::printf("\nus a seal, of 100\n");
  print_latency("mseal by a filter", self, "backend=supervised", "mseal");
  print_latency("mseal by a filter, backend=filters", self, "backend=filters", "mseal");
  print_latency("  of these, the seccomp() call alone", self, nullptr, "seccomp");
  for (const char* const threads : {"1", "4", "16"}) {
    const std::string title = std::string("mseal by a filter, beside so many busy threads: ") + threads;
    print_latency(title.c_str(), self, "backend=supervised", "busy threads", threads);
  }
  print_latency("mmap(PROT_SEAL)", self, "backend=supervised", "PROT_SEAL");
  print_latency("mseal by the supervisor, coverage=all", self, "backend=supervised,coverage=all", "mseal");
  print_latency("mseal(2) of this kernel, by way of the library", self, "backend=kernel,require=kernel",
                "mseal");
  std::printf("\nus a refused call of libc, of 50,000 after as many\n");
  for (const char* const mappings : {"10", "64000"}) {
    const std::string title = std::string("so many mappings: ") + mappings;
    print_latency(title.c_str(), self, "backend=supervised", "refusals", mappings);
    print_latency((title + ", events=").c_str(), self, "backend=supervised,events=/tmp/libmseal-bench-events",
                  "refusals", mappings);
  }
  std::remove("/tmp/libmseal-bench-events");
  std::printf("\nus a start of /bin/true\n");
  for (const char* const others : {"0", "500", "1500"}) {
    const std::string title = std::string("beside so many programs: ") + others;
    print_latency((title + ", without the library").c_str(), self, nullptr, "starts", others);
    print_latency(title.c_str(), self, "backend=supervised", "starts", others);
  }
  return 0;
}
