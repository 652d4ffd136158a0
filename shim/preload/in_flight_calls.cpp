#include "shim/preload/in_flight_calls.h"

#include <sys/mman.h>
#include <time.h>

#include <cerrno>

#include "policy/parsers/syscall_line.h"
#include "shim/common/proc_root.h"
#include "shim/preload/thread_stop.h"
#include "shim/preload/threads.h"

namespace libmseal::shim {
namespace {

// A thread that sleeps has told all. One that runs is often about to sleep: so many looks, so far apart,
// before it is disturbed.
constexpr int kLooks = 3;
constexpr long kNap = 50'000;  // ns

// Where threads can't be stopped. From the filter to the lock is well below a microsecond of running, but a
// thread may also spin for the lock while whoever holds it runs. Several holders' times, then.
constexpr std::uint64_t kEnoughRunning = 10'000'000;  // ns
constexpr int kMostNaps = 40'000;
constexpr int kMostNapsForList = 2'000;

using policy::Whereabouts;

Whereabouts look_at(const policy::Machine& machine, const Thread& thread) {
  char text[256] = {};
  const long got = thread.read("syscall", text);
  if (got == 0) return Whereabouts::elsewhere;  // it has ended
  if (got < 0) return Whereabouts::running;     // nobody knows
  return policy::parse_syscall_line(machine, {text, static_cast<std::size_t>(got)})
      .value_or(Whereabouts::running);
}

// Time on a processor, in ns.
std::uint64_t running_time(const Thread& thread) {
  char text[128] = {};
  const long got = thread.read("schedstat", text);
  return got > 0 ? static_cast<std::uint64_t>(leading_number({text, static_cast<std::size_t>(got)}))
                 : ~0ULL;  // ended, or a kernel without it
}

void nap() {
  const timespec time{0, kNap};
  (void)raw_syscall(__NR_nanosleep, &time, nullptr);
}

// Asleep outside of every call that changes memory, within a few looks.
bool soon_asleep(const policy::Machine& machine, const Thread& thread) {
  for (int looks = 0; looks < kLooks; ++looks) {
    if (looks != 0) nap();
    if (look_at(machine, thread) == Whereabouts::elsewhere) return true;
  }
  return false;
}

// Where a thread can't be stopped: evidence, no proof.
bool wait_for_evidence(const policy::Machine& machine, const Thread& thread) {
  const std::uint64_t enough = running_time(thread) + kEnoughRunning;
  for (int naps = 0; naps < kMostNaps; ++naps) {
    const Whereabouts seen = look_at(machine, thread);
    if (seen == Whereabouts::elsewhere) return true;
    if (seen == Whereabouts::running && (enough < kEnoughRunning || running_time(thread) >= enough))
      return true;
    nap();
  }
  return false;
}

// One write-locked operation: it queues behind whoever waits for the memory map's lock.
void queue_for_the_lock() {
  const long page = raw_syscall(__NR_mmap, 0, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!failed(page)) (void)raw_syscall(__NR_munmap, page, 1);
}

}  // namespace

long wait_for_in_flight_calls(const policy::Machine& machine) {
  const long self = raw_syscall(__NR_gettid);
  bool proved = true;
  bool stays = false;
  const auto wait_for_all = [&] {
    return for_each_thread([&](const Thread& thread) -> long {
      if (thread.id() == self || soon_asleep(machine, thread) || stop_thread(thread.id())) return 0;
      proved = false;
      stays = !wait_for_evidence(machine, thread);
      return stays ? -EAGAIN : 0;
    });
  };
  // The filter is in, and can't be taken back: a list that can't be read for want of a descriptor or of
  // memory is tried again.
  long waited = wait_for_all();
  for (int naps = 0; waited != 0 && !stays && naps < kMostNapsForList; ++naps) {
    nap();
    waited = wait_for_all();
  }
  if (waited != 0) return -EAGAIN;
  if (!proved) queue_for_the_lock();
  return 0;
}

}  // namespace libmseal::shim
