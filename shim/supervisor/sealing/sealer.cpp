#include "shim/supervisor/sealing/sealer.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "policy/rules/verdict.h"
#include "shim/common/machine.h"
#include "shim/common/pieces.h"

namespace libmseal::supervisor {

using policy::Range;

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

bool Sealer::is_watched(std::span<const Range> ranges) const {
  return std::ranges::all_of(ranges,
                             [&](const Range& range) { return policy::any_contains(watched_, range); });
}

// The supervisor can't see what filters of the process refuse: the library keeps account of that. brk is only
// refused by filters. A seal of another process may be in the record because this process may have inherited
// it, but it does not count here: it has the attributes of the other process's mapping.
bool Sealer::is_in_force(const Caller& caller, const SealEntry& entry, const Range& heap) const {
  if (entry.by == Process{}) return true;
  if (entry.by != caller.process) return false;
  return audits_ || (is_watched({&entry.seal.range, 1}) && !entry.seal.range.touches(heap));
}

bool Sealer::is_sealed(const Caller& caller, const SealJob& job) const {
  if (job.ranges.empty()) return true;  // nothing is constant there
  const Range heap = heap_of(caller, job.present_break);
  const auto counts = [&](const SealEntry& entry) { return is_in_force(caller, entry, heap); };
  const bool covered = std::ranges::all_of(
      job.ranges, [&](const Range& range) { return caller.record->covers(range, job.types, counts); });
  // The record alone promises nothing. The process may have another mapping there: a fork, where its parent
  // left a hole (MADV_DONTFORK); after execve, at the addresses of the image before. In the sealed area there
  // may be none, or one that the program has placed there. And what the process has reported may be wrong.
  Findings now;
  if (!covered || read_mappings(caller, job, now) != 0) return false;
  // It may be a part of the heap now.
  if (!now.refused_breaks.empty() && !audits_) return false;
  const Range all{job.ranges.front().start, job.ranges.back().end};
  return shim::still_covers(caller.record->counted(all, counts), {}, now.pieces, {});
}

long Sealer::read_mappings(const Caller& caller, const SealJob& job, Findings& found) const {
  const policy::Machine machine = shim::this_machine();
  const auto open = [&](std::string_view file) { return proc_.open(shim::ProcPath(caller.task, file)); };
  shim::PieceSearch search(machine, job.discard, job.types, open);
  if (const long wrong = search.find(job.ranges, found.pieces, shim::kMostRanges); wrong != 0) return wrong;
  const long wrong =
      search.find_keyed(job.ranges, found.pieces, shim::kMostRanges, found.keyed, shim::kMostKeyed);
  const Range heap = heap_of(caller, job.present_break);
  const auto breaks = [&](std::uint64_t end) {
    return policy::refused_breaks(found.pieces, heap.start, end, machine.page_size);
  };
  const Range as_reported = breaks(heap.end);
  const bool is_break = job.present_break != 0;
  found.refused_breaks = job.break_is_certain ? as_reported : breaks(search.heap_end(heap.end, is_break));
  found.heap_is_unclear = found.refused_breaks != as_reported;
  return wrong;
}

ThreadHolder::Result Sealer::hold(const Caller& caller, SealJob& job) {
  using Result = ThreadHolder::Result;
  // Nothing is enforced, and a stop may end a call with EINTR.
  if (audits_) return Result::held;
  std::vector<pid_t> processes = registry_.processes_with(*caller.record);
  if (is_only_thread(proc_, caller)) std::erase(processes, caller.process.id);
  const Result result = holder_.hold(processes, caller.task, job.held);
  if (result != Result::held && result != Result::cloning) job.held.release();
  return result;
}

bool Sealer::wait_for_calls(const Caller& caller, const SealJob& job) {
  if (audits_) return true;
  const auto shares = [&](pid_t other) {
    const Caller who = registry_.look_up(other);
    return !who.foreign() && (who.standing == Caller::Standing::unknown || who.record == caller.record);
  };
  return std::ranges::all_of(job.ranges, [&](const Range& range) { return calls_.wait_for(range, shares); });
}

long Sealer::put_in_force(const Caller& caller, const SealJob& job, bool filtered) {
  const long error = registry_.add(caller, job.found.pieces, filtered);
  return error == -ENOMEM ? -ENOSPC : error;
}

long Sealer::cover(const Caller& caller, SealJob& job) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (const long error = put_in_force(caller, job, false); error != 0) return error;
    const Findings covered = std::exchange(job.found, {});
    long wrong = read_mappings(caller, job, job.found);
    if (shim::is_read_error(wrong))
      wrong = read_mappings(caller, job, job.found);  // for example for lack of a descriptor
    if (wrong != 0) return wrong;
    if (!job.found.refused_breaks.empty() && !audits_) return -EAGAIN;  // it has become part of the heap
    if (shim::still_covers(covered.pieces, {}, job.found.pieces, {})) return 0;
  }
  return -EBUSY;
}

}  // namespace libmseal::supervisor
