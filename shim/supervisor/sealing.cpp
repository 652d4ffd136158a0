#include "shim/supervisor/sealing.h"
#include "shim/supervisor/log.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "policy/parsers/elf_segments.h"
#include "policy/rules/seal_request.h"
#include "policy/rules/verdict.h"
#include "shim/common/machine.h"
#include "shim/common/pieces.h"
#include "shim/supervisor/ranges.h"

namespace libmseal::supervisor {

using policy::Control;
using policy::Next;
using policy::Range;
using policy::Seal;
using policy::Way;
using shim::Sharing;

namespace {

constexpr int kAttempts = 3;  // while a range changes its attributes
constexpr std::size_t kMostJobs = 64;

// A program that has filters to install does so at once.
constexpr auto kHoldAtMost = std::chrono::milliseconds(100);

// What the heap may cover. Where the break is, only the program knows: 0 if it has not told.
Range heap_of(const Caller& caller, std::uint64_t present_break) {
  constexpr std::uint64_t kReachOfHeap = 1ULL << 40;
  const std::uint64_t floor = caller.identity.start_brk;
  return {floor, present_break != 0 ? present_break : floor + kReachOfHeap};
}

bool refuses_types(const Caller& caller, std::span<const Range> ranges, policy::SealTypes types) {
  return std::ranges::any_of(ranges, [&](const Range& range) {
    return policy::refuses_types(caller.record->seals(), range, types);
  });
}

}  // namespace

Sealing::Sealing(Proc& proc, Registry& registry, ThreadHolder& holder, ContinuedCalls& calls,
                 std::vector<Range> watched, const policy::Options& options)
    : proc_(proc),
      registry_(registry),
      holder_(holder),
      calls_(calls),
      watched_(std::move(watched)),
      options_(options),
      rules_(policy::tree_rules(options)) {}

bool Sealing::is_watched(std::span<const Range> ranges) const {
  return std::ranges::all_of(ranges, [&](const Range& range) {
    return std::ranges::any_of(watched_, [&](const Range& one) { return one.contains(range); });
  });
}

// Filters are only in the process that installed them, and in what was forked later; and brk is refused by
// filters alone. A seal of another process that is in the record, for it may be in force here as well, is no
// reason not to seal: it has the attributes of the mapping that the other process had there.
bool Sealing::is_in_force(const Caller& caller, const SealEntry& entry, const Range& heap) const {
  if (entry.by == Process{}) return true;
  if (!(entry.by == caller.process)) return false;
  if (rules_.audits || entry.filtered) return true;
  return is_watched({&entry.seal.range, 1}) && !entry.seal.range.touches(heap);
}

bool Sealing::is_sealed(const Caller& caller, Job& job) const {
  const Range heap = heap_of(caller, job.present_break);
  const auto counts = [&](const SealEntry& entry) { return is_in_force(caller, entry, heap); };
  const bool sealed = std::ranges::all_of(
      job.ranges, [&](const Range& range) { return caller.record->covers(range, job.types, counts); });
  const auto in_arena = [&](const Range& range) { return range.touches(registry_.arena()); };
  if (!sealed || std::ranges::none_of(job.ranges, in_arena)) return sealed;
  // The first filter refuses there whatever is mapped, and where nothing is; what the program has placed
  // there by itself may need more than that.
  if (look(caller, job) != 0) return false;
  const Range all{job.ranges.front().start, job.ranges.back().end};
  return shim::is_enough(caller.record->counted(all, counts), {}, job.pieces, {});
}

// ---- jobs ----

// Null if there are too many. A thread may be stopped for any time between two messages, and must not find a
// part of its job gone: it would be told that all is sealed.
Sealing::Job* Sealing::job_of(const Caller& caller) {
  const auto found = jobs_.find(caller.task);
  if (found != jobs_.end() && !(found->second.process == caller.process)) end(found->second);
  if (!jobs_.contains(caller.task) && jobs_.size() >= kMostJobs) {
    std::erase_if(jobs_, [&](const auto& entry) { return proc_.stat(entry.first).is_gone(); });
    if (jobs_.size() >= kMostJobs) return nullptr;
  }
  Job& job = jobs_.try_emplace(caller.task, holder_).first->second;
  job.process = caller.process;
  job.last_heard = std::chrono::steady_clock::now();
  return &job;
}

void Sealing::end(Job& job) {
  std::erase_if(jobs_, [&](const auto& entry) { return &entry.second == &job; });
}

bool Sealing::tidy() noexcept {
  const auto now = std::chrono::steady_clock::now();
  for (auto& [task, job] : jobs_) {
    if (now - job.last_heard > kHoldAtMost) job.held.release();
  }
  return holder_.let_go() || holds_threads();
}

bool Sealing::holds_threads() const {
  return std::ranges::any_of(jobs_, [](const auto& entry) { return !entry.second.held.empty(); });
}

// ---- looking ----

// Of what shall be sealed if it is constant, that which is.
long Sealing::choose_ranges(const Caller& caller, Job& job) const {
  job.ranges.clear();
  bool constant = false;
  for (const Wanted& wanted : job.wanted) {
    constant = constant || wanted.constant;
    if (!wanted.constant) job.ranges.push_back(wanted.range);
  }
  long read = 0;
  if (constant) {
    read = visit_maps(proc_, caller.task, [&](const policy::Vma& vma) {
      for (const Wanted& wanted : job.wanted) {
        if (!wanted.constant) continue;
        policy::select_segments(vma, {{&wanted.range, 1}, {}, wanted.with_data},
                                [&](const Range& part, bool) { job.ranges.push_back(part); });
      }
      return true;
    });
  }
  join_touching(job.ranges);
  return read;
}

long Sealing::look(const Caller& caller, Job& job) const {
  const policy::Machine machine = shim::this_machine();
  const auto open = [&](std::string_view file) {
    return proc_.open(shim::ProcPath(caller.task, file), O_RDONLY);
  };
  const shim::PieceSearch search(machine, job.discard, job.types, open);
  if (const long wrong = search.find(job.ranges, job.pieces, shim::kMostRanges); wrong != 0) return wrong;
  const long wrong =
      search.find_keyed(job.ranges, job.pieces, shim::kMostRanges, job.keyed, shim::kMostKeyed);
  const Range heap = heap_of(caller, job.present_break);
  job.refused_breaks = policy::refused_breaks(job.pieces, heap.start, heap.end, machine.page_size);
  return wrong;
}

ThreadHolder::Result Sealing::hold(const Caller& caller, Job& job) {
  using Result = ThreadHolder::Result;
  const std::vector<pid_t> processes = registry_.processes_with(*caller.record);
  const Result result = holder_.hold(processes, caller.task, job.held);
  if (result == Result::forbidden || result == Result::stuck) job.held.release();
  return result;
}

bool Sealing::wait_for_calls(const Caller& caller, const Job& job) {
  const auto shares = [&](pid_t other) {
    const Caller who = registry_.look_up(other);
    return !who.foreign() && (who.standing == Caller::Standing::unknown || who.record == caller.record);
  };
  return std::ranges::all_of(job.ranges, [&](const Range& range) { return calls_.wait_for(range, shares); });
}

// ---- sealing ----

std::int64_t Sealing::add_range(const Caller& caller, const Control& message) {
  Job* const job = job_of(caller);
  if (job == nullptr) return -EAGAIN;
  if (job->wanted.size() + message.more.size() >= shim::kMostRanges) return -E2BIG;
  const auto want = [&](const Range& range) {
    job->wanted.push_back({range, message.constant, message.with_data});
  };
  want(message.seal.range);
  std::ranges::for_each(message.more, want);
  return 0;
}

std::int64_t Sealing::seal(const Caller& caller, const Control& message) {
  Job* const job = job_of(caller);
  if (job == nullptr) return -EAGAIN;
  const bool named = !message.seal.range.empty();
  if (named) job->wanted.push_back({message.seal.range});
  job->present_break = message.present_break;
  job->types = message.seal.types;
  job->discard = message.discard_as_kernel ? policy::DiscardRule::kernel : policy::DiscardRule::strict;
  const std::int64_t answer = start(caller, *job);
  if (answer == -EAGAIN) {  // asked again, or given up
    job->held.release();
    if (named) job->wanted.pop_back();
  } else if (answer < 0 || policy::decode_next(answer).way != Way::filter) {
    end(*job);
  }
  return answer;
}

std::int64_t Sealing::start(const Caller& caller, Job& job) {
  registry_.begin_sealing(caller);
  // Who was alone is likely to be so again: it is looked for once, when the threads stand still.
  const Sharing sharing = caller.record->was_alone ? Sharing::alone : registry_.sharers(caller);
  const bool watched = std::ranges::all_of(job.wanted, [&](const Wanted& one) {
    return is_watched({&one.range, 1});
  });
  if (sharing == Sharing::unknown || (sharing == Sharing::shared && !watched)) {
    // Nothing comes of it now; what is wrong with the range is said all the same.
    long wrong = choose_ranges(caller, job);
    if (wrong == 0 && !is_sealed(caller, job)) wrong = look(caller, job);
    return wrong == -ENOMEM || wrong == -EINVAL ? wrong : -EAGAIN;
  }
  const shim::Births births = proc_.births();
  const ThreadHolder::Result held = hold(caller, job);
  if (held == ThreadHolder::Result::forbidden) return policy::encode(Next{Way::yourself});
  if (held == ThreadHolder::Result::stuck) return -EBUSY;
  // Where filters are installed, nobody may be in the middle of making a process that will not have them.
  // Where the supervisor refuses, a process that is found later gets the seals of the memory that it shares.
  const bool cloning = held == ThreadHolder::Result::cloning;
  if (registry_.sharers(caller) != sharing || (cloning && !watched)) return -EAGAIN;
  if (sharing == Sharing::alone && !cloning) Registry::note_alone(caller, births);
  const auto unreadable = [](long error) { return error == -EACCES || error == -EPERM || error == -ESRCH; };
  long wrong = choose_ranges(caller, job);
  if (wrong == 0 && refuses_types(caller, job.ranges, job.types)) return -EACCES;
  if (wrong == 0 && is_sealed(caller, job)) return policy::encode(Next{Way::sealed});
  if (wrong == 0) wrong = look(caller, job);
  if (unreadable(wrong)) return policy::encode(Next{Way::yourself});
  if (wrong != 0) return wrong;
  if (!caller.record->make_room(job.pieces.size())) return -ENOSPC;
  const bool by_supervisor = rules_.audits || (is_watched(job.ranges) && job.refused_breaks.empty());
  if (by_supervisor) return seal_by_supervisor(caller, job);
  return sharing == Sharing::alone && !cloning ? hand_out(caller, job, Way::filter) : -EAGAIN;
}

long Sealing::put_in_force(const Caller& caller, const Job& job, bool filtered) {
  const long error = registry_.add(caller, job.pieces, filtered);
  return error == -ENOMEM ? -ENOSPC : error;
}

std::int64_t Sealing::seal_by_supervisor(const Caller& caller, Job& job) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (const long error = put_in_force(caller, job, false); error != 0) return error;
    const std::vector<Seal> covered = job.pieces;
    long wrong = look(caller, job);
    if (!shim::is_of_ranges(wrong)) wrong = look(caller, job);  // for want of a descriptor, say
    if (wrong != 0) return wrong;
    if (shim::is_enough(covered, {}, job.pieces, {})) return hand_out(caller, job, Way::sealed);
  }
  return -EBUSY;
}

// What the process needs to know of what was found.
std::int64_t Sealing::hand_out(const Caller& caller, const Job& job, Way way) {
  const bool sealed = way == Way::sealed;
  if (sealed && job.keyed.empty()) return policy::encode(Next{way});
  const auto pieces = sealed ? std::span<const Seal>() : std::span<const Seal>(job.pieces);
  const std::uint32_t ticket = caller.image->table->put(pieces, job.keyed, job.refused_breaks);
  return ticket == 0 ? -E2BIG : policy::encode(Next{way, ticket});
}

std::int64_t Sealing::filters_are_in(const Caller& caller, const Control& message) {
  const auto found = jobs_.find(caller.task);
  if (found == jobs_.end() || !(found->second.process == caller.process) || found->second.pieces.empty())
    return -ESTALE;
  Job& job = found->second;
  const auto ended = [&](std::int64_t answer) {
    end(job);
    return answer;
  };
  job.last_heard = std::chrono::steady_clock::now();
  const shim::Births births = proc_.births();
  // Who slept then, and woke up since, may have begun a call before the filter was there.
  ThreadHolder::Result held = hold(caller, job);
  if (held == ThreadHolder::Result::forbidden) held = hold(caller, job);  // for want of a descriptor, say
  switch (held) {
    case ThreadHolder::Result::held:
      break;
    case ThreadHolder::Result::cloning:
      job.held.release();
      return -EAGAIN;  // asked again, or given up
    case ThreadHolder::Result::forbidden:
    case ThreadHolder::Result::stuck:
      return ended(-EBUSY);
  }
  // Who came to share the memory between the look and the filter does not have that.
  if (registry_.sharers(caller) != Sharing::alone) {
    job.held.release();
    return -EAGAIN;
  }
  Registry::note_alone(caller, births);
  const std::vector<Seal> covered = job.pieces;
  const Range breaks = job.refused_breaks;
  job.present_break = message.present_break;
  if (const long wrong = look(caller, job); wrong != 0) {
    if (shim::is_of_ranges(wrong)) return ended(wrong);
    // The filter can't be taken back: for want of a descriptor, say, the look is only put off.
    job.pieces = covered;
    job.refused_breaks = breaks;
    job.held.release();
    return -EAGAIN;
  }
  if (!shim::is_enough(covered, breaks, job.pieces, job.refused_breaks))
    return ++job.attempts < kAttempts ? hand_out(caller, job, Way::filter) : ended(-EBUSY);
  if (const long error = put_in_force(caller, job, true); error != 0) return ended(error);
  return ended(hand_out(caller, job, Way::sealed));
}

std::int64_t Sealing::give_up(const Caller& caller) {
  if (const auto found = jobs_.find(caller.task); found != jobs_.end()) end(found->second);
  return 0;
}

void Sealing::begin_anew(const Process& process) {
  std::erase_if(jobs_, [&](const auto& entry) { return entry.second.process == process; });
}

std::int64_t Sealing::is_writable(const Caller& caller, const Range& range) {
  bool writable = false;
  const long read = visit_maps(proc_, caller.task, [&](const policy::Vma& vma) {
    writable = writable || (vma.writable && vma.range.touches(range));
    return vma.range.start < range.end;
  });
  return read != 0 ? -EPERM : writable ? 1 : 0;
}

std::int64_t Sealing::seal_raw(const Caller& caller, const policy::Machine& machine,
                               const policy::Arguments& arguments) {
  Job job(holder_);
  Range range;
  job.discard = options_.discard;
  if (arguments[2] != 0) return -EINVAL;
  if (const long wrong = policy::check_request(machine, arguments[0], arguments[1], range); wrong != 0)
    return wrong;
  if (range.empty()) return 0;
  job.ranges = {range};
  // What is wrong with the range is said without a look for others: the library asks so at every start.
  if (const long wrong = look(caller, job); wrong == -ENOMEM || wrong == -EINVAL) return wrong;
  if (refuses_types(caller, job.ranges, job.types)) return -EACCES;
  registry_.begin_sealing(caller);
  // Whoever else has the memory gets its seals.
  if (registry_.sharers(caller) == Sharing::unknown) return -EAGAIN;
  if (is_sealed(caller, job)) return 0;
  const ThreadHolder::Result result = hold(caller, job);
  const bool held = result == ThreadHolder::Result::held || result == ThreadHolder::Result::cloning;
  const auto seal_it = [&]() -> std::int64_t {
    if (const long wrong = look(caller, job); wrong != 0) return wrong;
    if (!job.refused_breaks.empty() && !rules_.audits) {
      log(Level::warning, "pid ", caller.task, ": mseal(", Hex{range.start}, ", ", Hex{range.size()},
          ") fails: brk may unmap memory there, and nothing refuses that to a program without the library; "
          "seal what "
          "mmap has placed");
      return -EAGAIN;
    }
    if (!caller.record->make_room(job.pieces.size())) return -ENOSPC;
    if (held) return seal_by_supervisor(caller, job);
    // From now on calls are refused; those that were let through before have to end; then it is looked at
    // again.
    if (const long error = put_in_force(caller, job, false); error != 0) return error;
    if (!wait_for_calls(caller, job)) return -EBUSY;
    return seal_by_supervisor(caller, job);
  };
  const std::int64_t answer = seal_it();
  if (answer >= 0) return 0;
  switch (answer) {
    case -ENOMEM:
    case -EINVAL:
    case -EAGAIN:
      return answer;
    case -E2BIG:
    case -ENOSPC:
      return -ENOMEM;
    default:
      return -EAGAIN;
  }
}

// ---- where the process looks by itself ----

std::int64_t Sealing::prepare(const Caller& caller, const Seal& wanted) {
  const auto way = [](Way one) { return static_cast<std::int64_t>(one); };
  const Range& range = wanted.range;
  if (refuses_types(caller, {&range, 1}, wanted.types)) return -EACCES;
  const Range heap = heap_of(caller, 0);
  const auto counts = [&](const SealEntry& entry) {
    // What is mapped in the arena, nobody knows here.
    return !entry.seal.range.touches(registry_.arena()) && is_in_force(caller, entry, heap);
  };
  if (caller.record->covers(range, wanted.types, counts)) return way(Way::sealed);
  if (!caller.record->make_room(1)) return -ENOSPC;
  registry_.begin_sealing(caller);
  if (registry_.sharers(caller) != Sharing::alone) return -EAGAIN;
  return way(is_watched({&range, 1}) ? Way::supervised : Way::filter);
}

std::int64_t Sealing::is_alone(const Caller& caller) {
  if (registry_.sharers(caller) != Sharing::alone) return -EAGAIN;
  // The process has seen all its threads outside of clone since it asked.
  Registry::note_alone(caller, caller.record->asked);
  return 0;
}

std::int64_t Sealing::add(const Caller& caller, const Control& message) {
  std::vector<Seal> seals{message.seal};
  for (const Range& range : message.more) seals.push_back(message.seal.part(range));
  std::vector<Range> ranges;
  for (const Seal& seal : seals) ranges.push_back(seal.range);
  // The library has asked before; whoever speaks past it has not.
  if (refuses_types(caller, ranges, message.seal.types)) return -EACCES;
  const bool filtered = message.kind == Control::Kind::add_filtered;
  if (!filtered) {
    // Refused from here: so it must be where calls are notified, and for all who have the memory.
    if (!is_watched(ranges)) return -EAGAIN;
    // An image that has just said hello, and has not asked anything since, has its memory to itself; whoever
    // comes to share it gets its seals when it is met.
    if (caller.record->prepared != 0) {
      registry_.begin_sealing(caller);
      if (registry_.sharers(caller) == Sharing::unknown) return -EAGAIN;
    }
  }
  return registry_.add(caller, seals, filtered);
}

}  // namespace libmseal::supervisor
