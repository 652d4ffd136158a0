#include "shim/preload/process/in_flight_calls.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <optional>

#include "policy/parsers/syscall_line.h"
#include "shim/common/clock.h"
#include "shim/common/proc_root.h"
#include "shim/preload/process/thread_stop.h"
#include "shim/preload/process/threads.h"

namespace libmseal::shim {
namespace {

// A running thread is often about to sleep: it is checked this many times, this far apart, before it is
// stopped.
constexpr int kLooks = 3;
constexpr long kNap = 50'000;  // ns

// A thread that can't be stopped has left its call once it has run this long in user mode. Time in the kernel
// does not count, because a call could spin there. In ticks; sampling and scaling (kernel/sched/cputime.c,
// cputime_adjust) may add one.
constexpr std::uint64_t kEnoughTicks = 3;
constexpr std::uint64_t kMostForThread = 3000;  // ms
constexpr int kMostNapsForList = 2'000;
constexpr std::uint64_t kMostForList = 3000;  // ms

using policy::Begun;
using policy::Whereabouts;

bool is_in_state(const Thread& thread, char state) {
  policy::StatLine stat;
  return thread.stat(stat) > 0 && stat.state == state;
}

// Asleep outside of every call that changes memory, or ended.
bool is_elsewhere(const policy::Machine& machine, Begun begun, const Thread& thread) {
  char text[256] = {};
  const long got = thread.read("syscall", text);
  if (got == 0) return thread.has_ended();  // a filter may have answered instead of the kernel
  // The files of a first thread that has ended before the others belong to root (fs/proc/base.c,
  // task_dump_owner). Otherwise it is not known.
  if (got < 0) return is_in_state(thread, 'Z');
  const auto where = policy::parse_syscall_line(machine, {text, static_cast<std::size_t>(got)}, begun);
  if (begun == Begun::under_filters) return where == Whereabouts::elsewhere;
  // A call that creates a process changes no memory, and every seal searches for processes that share it.
  const bool is_harmless = where == Whereabouts::elsewhere || where == Whereabouts::cloning;
  return is_harmless && !is_in_state(thread, 't');
}

// The same, with a few attempts.
bool soon_elsewhere(const policy::Machine& machine, Begun begun, const Thread& thread) {
  for (int looks = 0; looks < kLooks; ++looks) {
    if (looks != 0) nap(kNap);
    if (is_elsewhere(machine, begun, thread)) return true;
  }
  return false;
}

// For a thread that can't be stopped: evidence, not proof.
bool wait_for_evidence(const policy::Machine& machine, Begun begun, const Thread& thread) {
  std::optional<std::uint64_t> before;  // from the first reading that succeeds
  const Deadline deadline(kMostForThread);
  while (!deadline.passed()) {
    if (is_elsewhere(machine, begun, thread)) return true;
    policy::StatLine now;
    if (thread.stat(now) > 0) {
      if (before && now.user_time >= *before + kEnoughTicks) return true;
      if (!before) before = now.user_time;
    }
    nap(kNap);
  }
  return false;
}

// An operation that takes the memory map's lock for writing: it queues behind threads that wait for the lock.
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
  // The filter is installed and can't be removed: if the list can't be read for lack of a descriptor or of
  // memory, or changes constantly, try again.
  long waited = wait_for_all();
  const Deadline deadline(kMostForList);
  for (int naps = 0; waited != 0 && !stays && naps < kMostNapsForList && !deadline.passed(); ++naps) {
    nap(kNap);
    waited = wait_for_all();
  }
  if (waited != 0) return -EAGAIN;
  if (!proved) queue_for_the_lock();
  return 0;
}

}  // namespace libmseal::shim
