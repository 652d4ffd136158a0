#include "shim/preload/calls_under_way.h"

#include <sys/mman.h>
#include <time.h>

#include <cerrno>

#include "shim/preload/threads.h"

namespace libmseal::shim {
namespace {

// From the filter to the lock is well below a microsecond of running, but a thread may also spin for the lock
// while whoever holds it runs. Several holders' times, then.
constexpr std::uint64_t kEnoughRunning = 10'000'000;  // ns
constexpr long kNap = 200'000;                        // ns
constexpr int kMostNaps = 10'000;

std::uint64_t leading_number(const char* text, long size) {
  std::uint64_t number = 0;
  for (long index = 0; index < size && text[index] >= '0' && text[index] <= '9'; ++index) {
    number = number * 10 + static_cast<std::uint64_t>(text[index] - '0');
  }
  return number;
}

bool changes_memory(const policy::Machine& machine, std::uint64_t number) {
  for (const policy::Abi& abi : machine.abis) {
    for (const policy::CallNumber& call : abi.calls) {
      if (call.number == number && call.call != policy::Call::clone) return true;
    }
  }
  return false;
}

enum class Seen { elsewhere, in_call, running };

Seen look_at(const policy::Machine& machine, const Thread& thread) {
  char where[256] = {};
  const long got = thread.read("syscall", where);
  if (got == 0) return Seen::elsewhere;  // it has ended
  if (got < 0 || where[0] < '0' || where[0] > '9') {
    // "-1 ..." sleeps outside of any call (a page fault, say); "running", or unreadable
    return got > 0 && where[0] == '-' ? Seen::elsewhere : Seen::running;
  }
  return changes_memory(machine, leading_number(where, got)) ? Seen::in_call : Seen::elsewhere;
}

// Time on a processor, in ns.
std::uint64_t running_time(const Thread& thread) {
  char text[128] = {};
  const long got = thread.read("schedstat", text);
  return got > 0 ? leading_number(text, got) : ~0ULL;  // ended, or a kernel without it
}

void nap() {
  const timespec time{0, kNap};
  (void)raw_syscall(__NR_nanosleep, &time, nullptr);
}

long wait_for(const policy::Machine& machine, const Thread& thread) {
  const std::uint64_t enough = running_time(thread) + kEnoughRunning;
  for (int naps = 0; naps < kMostNaps; ++naps) {
    const Seen seen = look_at(machine, thread);
    if (seen == Seen::elsewhere) return 0;
    if (seen == Seen::running && (enough < kEnoughRunning || running_time(thread) >= enough)) return 0;
    nap();
  }
  return -EAGAIN;
}

}  // namespace

long wait_for_calls_under_way(const policy::Machine& machine) {
  const long self = raw_syscall(__NR_gettid);
  bool alone = true;
  const long waited = for_each_thread([&](const Thread& thread) -> long {
    if (thread.id() == self) return 0;
    alone = false;
    return wait_for(machine, thread);
  });
  if (waited != 0) return -EAGAIN;
  if (alone) return 0;
  const long page = raw_syscall(__NR_mmap, 0, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!failed(page)) (void)raw_syscall(__NR_munmap, page, 1);
  return 0;
}

}  // namespace libmseal::shim
