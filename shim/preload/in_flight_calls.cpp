#include "shim/preload/in_flight_calls.h"

#include <sys/mman.h>

#include <cerrno>
#include <optional>

#include "policy/parsers/stat_line.h"
#include "policy/parsers/syscall_line.h"
#include "shim/common/clock.h"
#include "shim/common/proc_root.h"
#include "shim/preload/thread_stop.h"
#include "shim/preload/threads.h"

namespace libmseal::shim {
namespace {

// A thread that sleeps has told all. One that runs is often about to sleep: so many looks, so far apart,
// before it is disturbed.
constexpr int kLooks = 3;
constexpr long kNap = 50'000;  // ns

// Where threads can't be stopped: one that has run so long in user mode since is in none of its calls of
// then. Time in the kernel does not count: a call may be made to spin there. In ticks, of which sampling and
// scaling (kernel/sched/cputime.c, cputime_adjust) may invent one.
constexpr std::uint64_t kEnoughTicks = 3;
constexpr std::uint64_t kMostForThread = 3000;  // ms
constexpr int kMostNapsForList = 2'000;

using policy::Begun;
using policy::Whereabouts;

std::optional<policy::StatLine> stat_of(const Thread& thread) {
  char text[2048] = {};
  const long got = thread.read("stat", text);
  if (got <= 0) return std::nullopt;
  return policy::parse_stat_line({text, static_cast<std::size_t>(got)});
}

bool is_held_by_tracer(const Thread& thread) {
  const auto stat = stat_of(thread);
  return stat && stat->state == 't';
}

// Asleep outside of every call that changes memory, or ended.
bool is_elsewhere(const policy::Machine& machine, Begun begun, const Thread& thread) {
  char text[256] = {};
  const long got = thread.read("syscall", text);
  if (got == 0) return true;  // it has ended
  if (got < 0) return false;  // nobody knows
  const auto where = policy::parse_syscall_line(machine, {text, static_cast<std::size_t>(got)}, begun);
  if (begun == Begun::under_filters) return where == Whereabouts::elsewhere;
  // Who makes a process changes no memory; who has got ours, every seal looks for.
  const bool is_harmless = where == Whereabouts::elsewhere || where == Whereabouts::cloning;
  return is_harmless && !is_held_by_tracer(thread);
}

// The same, within a few looks.
bool soon_elsewhere(const policy::Machine& machine, Begun begun, const Thread& thread) {
  for (int looks = 0; looks < kLooks; ++looks) {
    if (looks != 0) nap(kNap);
    if (is_elsewhere(machine, begun, thread)) return true;
  }
  return false;
}

// Where a thread can't be stopped: evidence, no proof.
bool wait_for_evidence(const policy::Machine& machine, Begun begun, const Thread& thread) {
  const auto before = stat_of(thread);
  const Deadline deadline(kMostForThread);
  while (!deadline.passed()) {
    if (is_elsewhere(machine, begun, thread)) return true;
    const auto now = stat_of(thread);
    if (before && now && now->user_time >= before->user_time + kEnoughTicks) return true;
    nap(kNap);
  }
  return false;
}

// One write-locked operation: it queues behind whoever waits for the memory map's lock.
void queue_for_the_lock() {
  const long page = raw_syscall(__NR_mmap, 0, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!failed(page)) (void)raw_syscall(__NR_munmap, page, 1);
}

}  // namespace

long wait_for_in_flight_calls(const policy::Machine& machine, Begun begun) {
  const long self = raw_syscall(__NR_gettid);
  bool proved = true;
  bool stays = false;
  const auto wait_for_all = [&] {
    return for_each_thread([&](const Thread& thread) -> long {
      if (thread.id() == self || soon_elsewhere(machine, begun, thread) || stop_thread(thread.id())) return 0;
      proved = false;
      stays = !wait_for_evidence(machine, begun, thread);
      return stays ? -EAGAIN : 0;
    });
  };
  // The filter is in, and can't be taken back: a list that can't be read for want of a descriptor or of
  // memory is tried again.
  long waited = wait_for_all();
  for (int naps = 0; waited != 0 && !stays && naps < kMostNapsForList; ++naps) {
    nap(kNap);
    waited = wait_for_all();
  }
  if (waited != 0) return -EAGAIN;
  if (!proved) queue_for_the_lock();
  return 0;
}

}  // namespace libmseal::shim
