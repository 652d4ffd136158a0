#include "shim/supervisor/sealing/thread_holder.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "shim/common/clock.h"
#include "shim/supervisor/processes/seize.h"

namespace libmseal::supervisor {
namespace {

constexpr std::uint64_t kMostForStops = 1000;  // ms; no ordinary memory call takes longer
constexpr long kNap = 20'000;                  // ns

// While threads are stopped, others may start new ones. What those that remain after this many rounds change
// is found by the second reading.
constexpr int kRounds = 4;

bool detach(const TracedThread& thread) {
  return ptrace(PTRACE_DETACH, thread.id, nullptr, thread.signal) == 0;
}

}  // namespace

std::vector<pid_t> ThreadHolder::attached() const {
  std::vector<pid_t> all;
  const auto take = [&](const TracedThread& thread) { all.push_back(thread.id); };
  std::ranges::for_each(released_, take);
  for (const HeldThreads* const held : all_held_) std::ranges::for_each(held->threads_, take);
  return all;
}

ThreadHolder::Seen ThreadHolder::look_for_stop(TracedThread& thread) {
  int status = 0;
  const auto wait = [&] { return waitpid(thread.id, &status, __WALL | WNOHANG); };
  pid_t waited = wait();
  // It was reaped, or execve has given it the ID of the process (fs/exec.c, de_thread). In the second case
  // the first thread is gone, and what was known of that is now about this one.
  const auto is_process = [&](const TracedThread& one) { return one.id == thread.process; };
  const auto has_it = [&](const HeldThreads* held) {
    return std::ranges::any_of(held->threads_, is_process);
  };
  if (waited < 0 && thread.id != thread.process && std::ranges::none_of(released_, is_process) &&
      std::ranges::none_of(all_held_, has_it)) {
    thread.id = thread.process;
    (void)ptrace(PTRACE_INTERRUPT, thread.id, nullptr, nullptr);
    waited = wait();
  }
  if (waited == 0) return Seen::running;
  if (waited < 0 || !WIFSTOPPED(status)) return Seen::gone;
  const bool by_signal = status >> 16 == 0;  // otherwise it is a stop for the tracer alone
  thread.signal = by_signal ? WSTOPSIG(status) : 0;
  return Seen::stopped;
}

ThreadHolder::Result ThreadHolder::hold(std::span<const pid_t> processes, pid_t except, HeldThreads& held) {
  (void)let_go();  // or those that have another ID since an execve would not be known
  Result result = Result::held;
  for (int round = 0; round < kRounds; ++round) {
    const std::size_t before = held.threads_.size();
    result = Result::held;
    for (const pid_t process : processes) {
      const Result one = stop_threads(process, except, held);
      if (one == Result::forbidden || one == Result::busy) return one;
      if (one == Result::cloning) result = one;
    }
    if (held.threads_.size() == before) break;
    const Result stops = wait_for_stops(held);
    if (stops == Result::stuck) return stops;
    if (stops == Result::cloning) result = stops;
  }
  return result;
}

// Interrupts all threads at once: each stops as soon as it gets a processor.
ThreadHolder::Result ThreadHolder::stop_threads(pid_t process, pid_t except, HeldThreads& held) {
  const auto threads = proc_.threads(process);
  if (threads.is_gone()) return Result::held;
  if (!threads.is_seen()) return proc_.stat(process).is_seen() ? Result::busy : Result::forbidden;
  Result result = Result::held;
  for (const pid_t task : *threads) {
    const bool known = std::ranges::find(held.threads_, task, &TracedThread::id) != held.threads_.end();
    if (task == except || known || (waits_ && waits_(task))) continue;
    const auto where = proc_.whereabouts(task);
    if (where.is_gone() || where.is(policy::Whereabouts::elsewhere)) continue;
    if (!where.is_seen()) return Result::forbidden;
    if (where.is(policy::Whereabouts::cloning)) {
      result = Result::cloning;
      continue;
    }
    const int error = interrupt(task, process, held);
    if (error == EBUSY) return Result::busy;
    if (error != 0 && !has_ended(proc_, task)) return Result::forbidden;
  }
  return result;
}

// Adds the thread, which is about to stop, to the held ones. 0 or an errno: it may not be stopped.
int ThreadHolder::interrupt(pid_t task, pid_t process, HeldThreads& held) {
  if (shim::g_killed_calls.ptrace) return EPERM;
  // It may be attached already: held for another call, or released and not stopped since.
  const auto take_from = [&](std::list<TracedThread>& others) {
    const auto attached = std::ranges::find(others, task, &TracedThread::id);
    if (attached == others.end()) return false;
    held.threads_.splice(held.threads_.end(), others, attached);
    return true;
  };
  if (take_from(released_)) return 0;
  for (HeldThreads* const other : all_held_) {
    if (other != &held && take_from(other->threads_)) return 0;
  }
  const std::vector<pid_t> before = attached();
  // First, so that no exception leaves a stopped thread that nobody resumes.
  held.threads_.push_back({task, process});
  // A thread that calls execve stops then, under the ID that it gets (see look_for_stop).
  const int error = seize(task, PTRACE_O_TRACEEXEC, before);  // EPERM also means that it has ended
  if (error != 0) {
    held.threads_.pop_back();
  } else {
    (void)ptrace(PTRACE_INTERRUPT, task, nullptr, nullptr);
  }
  return error;
}

// 0 if that is not known.
pid_t ThreadHolder::process_of(pid_t task) {
  const auto status = proc_.status(task);
  return status.is_seen() ? static_cast<pid_t>(status->thread_group) : 0;
}

ThreadHolder::Result ThreadHolder::wait_for_stops(HeldThreads& held) {
  constexpr int kNapsToLook = 50;
  const shim::Deadline deadline(kMostForStops);
  for (int naps = 1; !deadline.passed(); ++naps) {
    // Of any list, because one of these may be in execve and wait for that.
    if (naps % kNapsToLook == 0) reap_ended(attached());
    std::erase_if(held.threads_, [this](TracedThread& thread) {
      if (thread.stopped) return false;
      const Seen seen = look_for_stop(thread);
      thread.stopped = seen == Seen::stopped;
      return seen == Seen::gone;
    });
    // One in uninterruptible sleep stops when it wakes up.
    const auto stands_still = [&](const TracedThread& thread) {
      return thread.stopped || (naps % kNapsToLook == 0 && is_asleep_elsewhere(thread.id));
    };
    if (std::ranges::all_of(held.threads_, stands_still)) return Result::held;
    // A thread that waits for its vfork child can't be stopped.
    const auto stopped_or_cloning = [&](const TracedThread& thread) {
      return thread.stopped || proc_.whereabouts(thread.id).is(policy::Whereabouts::cloning);
    };
    if (naps % kNapsToLook == 0 && std::ranges::all_of(held.threads_, stopped_or_cloning))
      return Result::cloning;
    shim::nap(kNap);
  }
  return Result::stuck;
}

bool ThreadHolder::has_left_call(pid_t task, HeldThreads& held) {
  if (held.empty()) {
    if (is_asleep_elsewhere(task)) return true;
    const pid_t process = process_of(task);
    if (process == 0) return false;
    if (interrupt(task, process, held) != 0) return has_ended(proc_, task);
  }
  TracedThread& thread = held.threads_.front();
  if (thread.stopped) return true;  // it was held for something else, where it stopped
  const Seen seen = look_for_stop(thread);
  thread.stopped = seen == Seen::stopped;
  return seen != Seen::running || has_ended_first(thread);
}

bool ThreadHolder::take_out_of_call(pid_t task) {
  HeldThreads held(*this);
  const pid_t process = process_of(task);
  if (process == 0) return false;
  if (interrupt(task, process, held) != 0) return has_ended(proc_, task);
  const shim::Deadline deadline(kMostForStops);
  bool out = false;
  while (!(out = has_left_call(task, held)) && !deadline.passed()) shim::nap(kNap);
  held.release();
  return out;
}

// Whether it is the first thread of a process, and has ended before the others. It is reaped after them.
bool ThreadHolder::has_ended_first(const TracedThread& thread) noexcept {
  return thread.id == thread.process && has_ended(proc_, thread.id);
}

bool ThreadHolder::let_go() noexcept {
  bool some_run = false;
  std::erase_if(released_, [&](TracedThread& thread) {
    if (thread.stopped && detach(thread)) return true;
    if (thread.stopped) {  // it was killed, or a thread that has called execve has its ID now and runs
      thread.stopped = false;
      (void)ptrace(PTRACE_INTERRUPT, thread.id, nullptr, nullptr);
    }
    const Seen seen = look_for_stop(thread);  // to reap it, or because it did not stop in time
    if (seen == Seen::gone || (seen == Seen::stopped && detach(thread))) return true;
    some_run = some_run || !has_ended_first(thread);
    return false;
  });
  return some_run;
}

}  // namespace libmseal::supervisor
