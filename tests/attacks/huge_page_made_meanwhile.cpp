// mremap that makes ordinary memory smaller when the call is judged, and huge pages when it is made: another
// thread maps them at the source in between. The kernel then rounds the old size up to whole huge pages and
// unmaps the victim behind them. The thread in mremap gets no processor for a while, for others run there.
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint64_t kHugePage = 2 << 20;
constexpr std::uint64_t kSource = 0x2000'0100'0000;

void run_on_last_processor() {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  if (::sched_getaffinity(0, sizeof processors, &processors) != 0) cannot_try("sched_getaffinity");
  int last = CPU_SETSIZE - 1;
  while (!CPU_ISSET(last, &processors)) --last;
  CPU_ZERO(&processors);
  CPU_SET(last, &processors);
  (void)::sched_setaffinity(0, sizeof processors, &processors);
}

}  // namespace

int main() {
  constexpr int kBusyThreads = 4;
  const Victim victim = Victim::page(kSource + kHugePage + kHugePage / 2);
  std::atomic<bool> is_calling = false;
  std::atomic<bool> done = false;
  std::vector<std::thread> busy;
  for (int count = 0; count < kBusyThreads; ++count) {
    busy.emplace_back([&] {
      run_on_last_processor();
      while (!done) {
      }
    });
  }
  long mapped = 0;
  std::thread maps([&] {
    while (!is_calling) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    mapped = raw_syscall(__NR_mmap, kSource, kHugePage, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED, -1, 0);
    done = done || libmseal::shim::failed(mapped);
  });
  long answer = 0;
  std::thread shrinks([&] {
    run_on_last_processor();
    const sched_param none{};
    (void)::sched_setscheduler(0, SCHED_IDLE, &none);
    is_calling = true;
    do {  // until something is mapped there
      answer = raw_syscall(__NR_mremap, kSource, kHugePage + kPage, kHugePage, 0, 0);
    } while (answer == -EFAULT && !done);
    done = true;
  });
  shrinks.join();
  maps.join();
  for (std::thread& one : busy) one.join();
  if (answer == -EFAULT) cannot_call("mmap(MAP_HUGETLB)", mapped);
  return conclude(victim, "mremap", answer);
}
