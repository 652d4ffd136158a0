#include "shim/supervisor/sealing/sealer.h"

#include <algorithm>
#include <cerrno>

#include "policy/rules/verdict.h"
#include "shim/common/machine.h"
#include "shim/common/pieces.h"

namespace libmseal::supervisor {

using policy::Range;
using policy::Seal;

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

bool Sealer::is_sealed(const Caller& caller, SealJob& job) const {
  const Range heap = heap_of(caller, job.present_break);
  const auto counts = [&](const SealEntry& entry) { return is_in_force(caller, entry, heap); };
  const auto is_known = [&](const SealEntry& entry) { return !entry.unverified && counts(entry); };
  const auto covered = [&](auto what) {
    return std::ranges::all_of(
        job.ranges, [&](const Range& range) { return caller.record->covers(range, job.types, what); });
  };
  const auto in_sealed_area = [&](const Range& range) { return range.touches(registry_.sealed_area()); };
  if (covered(is_known) && std::ranges::none_of(job.ranges, in_sealed_area)) return true;
  // A seal that the process reported may be weaker than the mapping needs. In the sealed area, where the
  // first filter refuses every change, nothing may be mapped, or a mapping that the program has placed there
  // and that needs a stricter seal.
  if (!covered(counts) || read_mappings(caller, job) != 0) return false;
  const Range all{job.ranges.front().start, job.ranges.back().end};
  return shim::is_enough(caller.record->counted(all, counts), {}, job.pieces, {});
}

long Sealer::read_mappings(const Caller& caller, SealJob& job) const {
  const policy::Machine machine = shim::this_machine();
  const auto open = [&](std::string_view file) {
    return proc_.open(shim::ProcPath(caller.task, file), O_RDONLY);
  };
  shim::PieceSearch search(machine, job.discard, job.types, open);
  if (const long wrong = search.find(job.ranges, job.pieces, shim::kMostRanges); wrong != 0) return wrong;
  const long wrong =
      search.find_keyed(job.ranges, job.pieces, shim::kMostRanges, job.keyed, shim::kMostKeyed);
  const Range heap = heap_of(caller, job.present_break);
  const auto breaks = [&](std::uint64_t end) {
    return policy::refused_breaks(job.pieces, heap.start, end, machine.page_size);
  };
  const Range as_reported = breaks(heap.end);
  job.refused_breaks = job.break_is_certain ? as_reported : breaks(search.heap_end(heap.end));
  job.heap_is_unclear = job.refused_breaks != as_reported;
  return wrong;
}

ThreadHolder::Result Sealer::hold(const Caller& caller, SealJob& job) {
  using Result = ThreadHolder::Result;
  // Nothing is enforced, and a stop may end a call with EINTR.
  if (audits_) return Result::held;
  const std::vector<pid_t> processes = registry_.processes_with(*caller.record);
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
  const long error = registry_.add(caller, job.pieces, filtered);
  return error == -ENOMEM ? -ENOSPC : error;
}

long Sealer::cover(const Caller& caller, SealJob& job) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (const long error = put_in_force(caller, job, false); error != 0) return error;
    const std::vector<Seal> covered = job.pieces;
    long wrong = read_mappings(caller, job);
    if (!shim::is_of_ranges(wrong))
      wrong = read_mappings(caller, job);  // it failed, for example for lack of a descriptor
    if (wrong != 0) return wrong;
    if (!job.refused_breaks.empty() && !audits_) return -EAGAIN;  // the range has become part of the heap
    if (shim::is_enough(covered, {}, job.pieces, {})) return 0;
  }
  return -EBUSY;
}

}  // namespace libmseal::supervisor
