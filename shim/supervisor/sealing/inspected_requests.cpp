#include "shim/supervisor/sealing/inspected_requests.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "policy/rules/segment_choice.h"
#include "shim/common/pieces.h"
#include "shim/common/raw_syscall.h"
#include "shim/supervisor/registry/ranges.h"

namespace libmseal::supervisor {

using policy::Control;
using policy::NextStep;
using policy::Range;
using policy::Seal;
using policy::SealAnswer;
using shim::Sharing;

namespace {

// Threads that seal at the same time, and the ranges that their requests hold in memory: of all processes,
// and of one, so that it leaves room for the others.
struct Load {
  std::size_t jobs = 0;
  std::size_t ranges = 0;
  void add(const Load& other) { jobs += other.jobs, ranges += other.ranges; }
  [[nodiscard]] bool reaches(const Load& most) const { return jobs >= most.jobs || ranges >= most.ranges; }
};
constexpr Load kMostOfAll{4096, 64 * shim::kMostRanges};
constexpr Load kMostOfProcess{64, 4 * shim::kMostRanges};
// A program installs the filters at once.
constexpr auto kHoldAtMost = std::chrono::milliseconds(100);

// The answer if the mappings may not be read. The program does not check the types.
std::int64_t by_itself(const Caller& caller, const SealJob& job) {
  return refuses_types(caller, job.ranges, job.types) ? -EACCES
                                                      : policy::encode(SealAnswer{NextStep::by_itself});
}

constexpr std::int64_t kLook = policy::encode(SealAnswer{NextStep::look});

}  // namespace

// Null if there are too many. A thread may be stopped between two messages for any time, but no part of its
// job may get lost meanwhile: the answer would be that everything is sealed.
InspectedRequests::Job* InspectedRequests::job_of(const Caller& caller) {
  const auto found = jobs_.find(caller.task);
  if (found != jobs_.end() && found->second.process != caller.process) jobs_.erase(found);
  const auto is_full = [&] {
    Load all;
    Load own;
    for (const auto& [task, job] : jobs_) {
      const Load one{task != caller.task ? 1U : 0U, job.wanted.size() + job.found.pieces.size()};
      all.add(one);
      if (job.process == caller.process) own.add(one);
    }
    return all.reaches(kMostOfAll) || own.reaches(kMostOfProcess);
  };
  if (is_full()) {
    forget_ended();
    if (is_full()) return nullptr;
  }
  Job& job = jobs_.try_emplace(caller.task, holder_).first->second;
  job.process = caller.process;
  job.last_heard = std::chrono::steady_clock::now();
  return &job;
}

// Only once per second, because it takes a system call for each job.
void InspectedRequests::forget_ended() {
  constexpr auto kOften = std::chrono::seconds(1);
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_for_ended_ < kOften) return;
  looked_for_ended_ = now;
  std::erase_if(jobs_, [](const auto& entry) {
    return shim::raw_syscall(__NR_tgkill, entry.second.process.id, entry.first, 0) == -ESRCH;
  });
}

void InspectedRequests::forget(const Caller& caller) {
  jobs_.erase(caller.task);
}

void InspectedRequests::drop_jobs_of(const Process& process) {
  std::erase_if(jobs_, [&](const auto& entry) { return entry.second.process == process; });
}

bool InspectedRequests::tidy() noexcept {
  const auto now = std::chrono::steady_clock::now();
  for (auto& [task, job] : jobs_) {
    if (now - job.last_heard <= kHoldAtMost) continue;
    job.held.release();
    job.asked_for_break = job.break_is_certain = false;
  }
  return holder_.let_go() || holds_threads();
}

bool InspectedRequests::holds_threads() const {
  return std::ranges::any_of(jobs_, [](const auto& entry) { return !entry.second.held.empty(); });
}

// Where only the constant parts of a range are to be sealed, selects these parts.
long InspectedRequests::choose_ranges(const Caller& caller, Job& job) const {
  job.ranges.clear();
  bool any = false;
  for (const Wanted& wanted : job.wanted) {
    any = any || wanted.object_part;
    if (!wanted.object_part) job.ranges.push_back(wanted.range);
  }
  long read = 0;
  if (any) {
    read = visit_maps(proc_, caller.task, [&](const policy::Vma& vma) {
      for (const Wanted& wanted : job.wanted) {
        if (!wanted.object_part) continue;
        policy::select_segments(vma, {{&wanted.range, 1}, {}, wanted.writable_too},
                                [&](const Range& part, bool) { job.ranges.push_back(part); });
      }
      return true;
    });
  }
  join_touching(job.ranges);
  return read;
}

std::int64_t InspectedRequests::add_range(const Caller& caller, const Control& message) {
  Job* const job = job_of(caller);
  if (job == nullptr) return -EUSERS;
  if (job->wanted.size() + message.more.size() >= shim::kMostRanges) return -E2BIG;
  const auto want = [&](const Range& range) {
    job->wanted.push_back({range, message.object_part, message.writable_too});
  };
  want(message.seal.range);
  std::ranges::for_each(message.more, want);
  return 0;
}

std::int64_t InspectedRequests::seal(const Caller& caller, const Control& message) {
  Job* const job = job_of(caller);
  if (job == nullptr) return -EUSERS;
  const bool named = !message.seal.range.empty();
  if (named) job->wanted.push_back({message.seal.range});
  if (job->wanted.empty()) return -ESTALE;  // its ranges are lost, or nobody has sent any
  job->present_break = message.present_break;
  job->break_is_certain = job->asked_for_break && !named;
  job->asked_for_break = false;
  job->types = message.seal.types;
  job->discard = message.discard_as_kernel ? policy::DiscardRule::kernel : policy::DiscardRule::strict;
  job->is_alone = message.is_alone;
  const std::int64_t answer = start(caller, *job);
  if (answer != -EAGAIN && answer != kLook) return answer;
  // The thread asks again, or the request is given up.
  if (named) job->wanted.pop_back();
  job->held.release();
  return answer;
}

// Whether others share the memory; if the supervisor can't tell, what the library says.
Sharing InspectedRequests::sharing_of(const Caller& caller, const Job& job) {
  const Sharing sharing = registry_.register_sharers(caller);
  return sharing == Sharing::unknown && job.is_alone ? Sharing::alone : sharing;
}

std::int64_t InspectedRequests::start(const Caller& caller, Job& job) {
  registry_.begin_sealing(caller);
  // A process without sharers probably still has none: search only once, when the threads are stopped.
  const Sharing sharing = caller.was_alone() ? Sharing::alone : sharing_of(caller, job);
  const bool watched = std::ranges::all_of(job.wanted, [&](const Wanted& one) {
    return sealer_.is_watched({&one.range, 1});
  });
  // It can't be sealed now, but errors of the ranges take precedence.
  const auto not_now = [&](std::int64_t error) -> std::int64_t {
    long wrong = choose_ranges(caller, job);
    if (wrong == 0 && !sealer_.is_sealed(caller, job)) wrong = sealer_.read_mappings(caller, job, job.found);
    return wrong == -ENOMEM || wrong == -EINVAL ? wrong : error;
  };
  if (sharing == Sharing::unknown) return not_now(kLook);
  if (sharing == Sharing::shared && !watched) return not_now(-EAGAIN);
  const shim::ForkSample forks = proc_.sample_forks();
  const ThreadHolder::Result held = sealer_.hold(caller, job);
  if (held == ThreadHolder::Result::forbidden) {
    (void)choose_ranges(caller, job);
    return by_itself(caller, job);
  }
  if (held == ThreadHolder::Result::busy) return not_now(-EAGAIN);
  if (held == ThreadHolder::Result::stuck) return not_now(-EBUSY);
  // If filters are to be installed, no thread may be creating a process, which would not have them. If the
  // supervisor enforces the seal, a process that is found later gets the seals of the memory that it shares:
  // not if the supervisor can't tell what it shares.
  const bool cloning = held == ThreadHolder::Result::cloning;
  const Sharing still = sharing_of(caller, job);
  if (still == Sharing::unknown) return not_now(kLook);
  if (still != sharing || (cloning && (!watched || job.is_alone))) return not_now(-EAGAIN);
  const bool alone = sharing == Sharing::alone && !cloning;
  if (alone && !job.is_alone) caller.note_alone(forks);
  return seal_mappings(caller, job, alone);
}

std::int64_t InspectedRequests::seal_mappings(const Caller& caller, Job& job, bool alone) {
  const auto unreadable = [](long error) { return error == -EACCES || error == -EPERM || error == -ESRCH; };
  long wrong = choose_ranges(caller, job);
  if (wrong == 0 && refuses_types(caller, job.ranges, job.types)) return -EACCES;
  if (wrong == 0 && sealer_.is_sealed(caller, job)) return policy::encode(SealAnswer{NextStep::sealed});
  if (wrong == 0) wrong = sealer_.read_mappings(caller, job, job.found);
  if (unreadable(wrong)) return by_itself(caller, job);
  if (wrong != 0) return wrong;
  if (job.found.heap_is_unclear) {
    job.asked_for_break = true;
    return policy::encode(SealAnswer{NextStep::again});
  }
  if (!caller.record->make_room(job.found.pieces.size())) return -ENOSPC;
  if (sealer_.audits() || (sealer_.is_watched(job.ranges) && job.found.refused_breaks.empty())) {
    wrong = sealer_.cover(caller, job);
    return wrong != 0 ? wrong : hand_out(caller, job, NextStep::sealed);
  }
  return alone ? hand_out(caller, job, NextStep::filter) : -EAGAIN;
}

// Puts what the process needs to know into the table.
std::int64_t InspectedRequests::hand_out(const Caller& caller, const Job& job, NextStep step) {
  const bool sealed = step == NextStep::sealed;
  if (!sealed) registry_.note_request(caller);
  const Findings& found = job.found;
  if (sealed && found.keyed.empty()) return policy::encode(SealAnswer{step});
  const auto pieces = sealed ? std::span<const Seal>() : std::span<const Seal>(found.pieces);
  const std::uint32_t ticket = caller.image->table->put(pieces, found.keyed, found.refused_breaks);
  return ticket == 0 ? -E2BIG : policy::encode(SealAnswer{step, ticket});
}

std::int64_t InspectedRequests::filters_are_in(const Caller& caller, const Control& message) {
  const auto found = jobs_.find(caller.task);
  if (found == jobs_.end() || found->second.process != caller.process || found->second.found.pieces.empty())
    return -ESTALE;
  Job& job = found->second;
  job.last_heard = std::chrono::steady_clock::now();
  job.present_break = message.present_break;
  job.is_alone = message.is_alone;
  const std::int64_t answer = read_mappings_again(caller, job);
  if (answer == -EAGAIN || answer == kLook) job.held.release();
  return answer;
}

std::int64_t InspectedRequests::read_mappings_again(const Caller& caller, Job& job) {
  const shim::ForkSample forks = proc_.sample_forks();
  // A thread that was asleep and has woken up since may have begun a call before the filter was installed.
  ThreadHolder::Result held = sealer_.hold(caller, job);
  if (held == ThreadHolder::Result::forbidden)
    held = sealer_.hold(caller, job);  // it failed, for example for lack of a descriptor
  if (held == ThreadHolder::Result::cloning || held == ThreadHolder::Result::busy) return -EAGAIN;
  if (held != ThreadHolder::Result::held) return -EBUSY;
  // A process that began to share the memory before the filter was installed does not have the filter.
  const Sharing sharing = sharing_of(caller, job);
  if (sharing == Sharing::unknown) return kLook;
  if (sharing != Sharing::alone) return -EAGAIN;
  if (!job.is_alone) caller.note_alone(forks);
  Findings now;
  // The filter can't be removed, so retry if the reading failed, for example for lack of a descriptor.
  if (const long wrong = sealer_.read_mappings(caller, job, now); wrong != 0)
    return shim::is_read_error(wrong) ? -EAGAIN : wrong;
  const Findings covered = std::exchange(job.found, std::move(now));
  if (!shim::still_covers(covered.pieces, covered.refused_breaks, job.found.pieces, job.found.refused_breaks))
    return ++job.attempts < Sealer::kAttempts ? hand_out(caller, job, NextStep::filter) : -EBUSY;
  const long error = sealer_.put_in_force(caller, job, true);
  return error != 0 ? error : hand_out(caller, job, NextStep::sealed);
}

}  // namespace libmseal::supervisor
