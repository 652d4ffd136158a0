#include "shim/supervisor/mseal_server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "policy/seal_request.h"
#include "shim/common/maps_reader.h"
#include "shim/common/proc_root.h"
#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {
namespace {

using policy::Range;
using policy::Seal;

// What is mapped in `range`, or -errno: ENOMEM if any page of it is not, EINVAL for a part of what may be a
// huge page.
long pieces_in(const policy::Machine& machine, const SealTarget& target, const Range& range,
               std::vector<Seal>& pieces) {
  pieces.clear();
  const shim::ProcPath smaps = shim::ProcPath("/proc/").append(target.task).append("/smaps");
  std::uint64_t next = range.start;  // mapped up to here
  for (const OwnedVma& one : maps_of(target.task)) {
    const Range part = policy::intersection(one.vma.range, range);
    if (part.empty()) continue;
    if (part.start != next) return -ENOMEM;
    policy::Vma vma = one.vma;
    vma.name = one.name;
    const std::uint64_t smallest = machine.huge_pages.front();
    const bool whole_pages = part.start % smallest == 0 && part.end % smallest == 0;
    if (!whole_pages && part != vma.range && policy::may_have_huge_pages(machine, vma) &&
        shim::page_size_at(smaps.text(), vma.range.start) > machine.page_size)
      return -EINVAL;
    pieces.push_back(policy::seal_of(vma, part, target.discard));
    next = part.end;
  }
  return next == range.end ? 0 : -ENOMEM;
}

// Whether brk may unmap something of the range. No brk is notified, and nobody but the program can install a
// filter that refuses it. Where the break is, nobody but the program knows, either.
bool brk_may_reach(const policy::Machine& machine, pid_t task, const Range& range) {
  constexpr std::uint64_t kReachOfHeap = 1ULL << 40;
  const shim::ProcRoot proc;
  policy::StatLine stat;
  if (shim::read_stat(proc, task, stat) != 0 || stat.start_brk == 0) return true;
  return range.end > policy::round_up(stat.start_brk, machine.page_size) &&
         range.start <= stat.start_brk + kReachOfHeap;
}

bool at_least(const std::vector<Seal>& covered, const std::vector<Seal>& now) {
  return std::ranges::all_of(now, [&](const Seal& piece) {
    const auto as_strict = [&](const Seal& seal) { return seal.joined_with(piece, seal.range) == seal; };
    return policy::coverage(covered, piece.range, as_strict) == policy::Coverage::fully;
  });
}

}  // namespace

long serve_mseal(const policy::Machine& machine, const policy::Arguments& arguments,
                 const SealTarget& target) {
  constexpr int kAttempts = 3;  // while the range changes its attributes
  Range range;
  if (arguments[2] != 0) return -EINVAL;
  if (const long wrong = policy::check_request(machine, arguments[0], arguments[1], range); wrong != 0)
    return wrong;
  if (range.empty()) return 0;
  std::vector<Seal> pieces;
  if (const long wrong = pieces_in(machine, target, range, pieces); wrong != 0) return wrong;
  if (brk_may_reach(machine, target.task, range)) {
    spdlog::warn(
        "pid {}: mseal({:#x}, {:#x}) fails: brk may unmap memory there, and nothing refuses that to a "
        "program "
        "without the library; seal what mmap has placed",
        target.task, range.start, range.size());
    return -EAGAIN;
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // From now on calls are refused; those that were let through before have to end; then it is looked at
    // again.
    for (const Seal& piece : pieces) {
      if (!target.add(piece)) return -ENOMEM;
    }
    if (!target.calls.wait_for(range, target.shares_memory)) return -EAGAIN;
    std::vector<Seal> now;
    if (const long wrong = pieces_in(machine, target, range, now); wrong != 0) return wrong;
    if (at_least(pieces, now)) return 0;
    pieces = std::move(now);
  }
  return -EAGAIN;
}

}  // namespace libmseal::supervisor
