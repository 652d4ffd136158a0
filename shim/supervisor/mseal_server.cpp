#include "shim/supervisor/mseal_server.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "policy/seal_request.h"
#include "shim/supervisor/process.h"

namespace libmseal::supervisor {
namespace {

using policy::Range;
using policy::Seal;

struct Piece {
  Seal seal;
  bool of_heap = false;
};

// What is mapped in `range`; empty if any page of it is not.
std::vector<Piece> pieces_in(pid_t task, const Range& range, policy::DiscardRule discard) {
  std::vector<Piece> pieces;
  std::uint64_t next = range.start;  // mapped up to here
  for (const OwnedVma& one : maps_of(task)) {
    const Range part = policy::intersection(one.vma.range, range);
    if (part.empty()) continue;
    if (part.start != next) return {};
    policy::Vma vma = one.vma;
    vma.name = one.name;
    pieces.push_back({{part, policy::keeps_contents(vma, discard), 0}, one.name == "[heap]"});
    next = part.end;
  }
  return next == range.end ? pieces : std::vector<Piece>{};
}

bool keeps_at_least(const std::vector<Piece>& covered, const std::vector<Piece>& now) {
  std::vector<Seal> seals;
  seals.reserve(covered.size());
  for (const Piece& piece : covered) seals.push_back(piece.seal);
  return std::ranges::all_of(now, [&](const Piece& piece) {
    const auto keeps = [](const Seal& seal) { return seal.keeps_contents; };
    return !piece.seal.keeps_contents ||
           policy::coverage(seals, piece.seal.range, keeps) == policy::Coverage::fully;
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
  std::vector<Piece> pieces = pieces_in(target.task, range, target.discard);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (pieces.empty()) return -ENOMEM;
    // From now on calls are refused; those that were let through before have to end; then it is looked at
    // again.
    for (const Piece& piece : pieces) {
      if (!target.add(piece.seal, piece.of_heap)) return -ENOMEM;
    }
    if (!target.calls.wait_for(range, target.shares_memory)) return -EAGAIN;
    std::vector<Piece> now = pieces_in(target.task, range, target.discard);
    if (!now.empty() && keeps_at_least(pieces, now)) return 0;
    pieces = std::move(now);
  }
  return -EAGAIN;
}

}  // namespace libmseal::supervisor
