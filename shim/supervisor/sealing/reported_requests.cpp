#include "shim/supervisor/sealing/reported_requests.h"

#include <cerrno>
#include <cstddef>
#include <vector>

namespace libmseal::supervisor {

using policy::Control;
using policy::NextStep;
using policy::Range;
using policy::Seal;
using shim::Sharing;

namespace {

std::int64_t step(NextStep one) {
  return static_cast<std::int64_t>(one);
}

}  // namespace

std::int64_t ReportedRequests::prepare(const Caller& caller, const Control& message) {
  const Range& range = message.seal.range;
  if (refuses_types(caller, {&range, 1}, message.seal.types)) return -EACCES;
  if (!caller.record->make_room(1)) return -ENOSPC;
  registry_.begin_sealing(caller);
  const Sharing sharing = registry_.register_sharers(caller);
  if (sharing == Sharing::shared) return -EAGAIN;
  if (sharing == Sharing::unknown && !message.is_alone) return step(NextStep::look);
  registry_.note_request(caller);
  return step(sealer_.is_watched({&range, 1}) ? NextStep::supervised : NextStep::filter);
}

std::int64_t ReportedRequests::is_alone(const Caller& caller) {
  // The result is not stored: only the process itself claims that no thread was in clone meanwhile.
  const Sharing sharing = registry_.register_sharers(caller);
  if (sharing == Sharing::unknown) return step(NextStep::look);
  return sharing == Sharing::alone ? 0 : -EAGAIN;
}

std::int64_t ReportedRequests::add(const Caller& caller, const Control& message) {
  std::vector<Seal> seals{message.seal};
  for (const Range& range : message.more) seals.push_back(message.seal.part(range));
  std::vector<Range> ranges;
  for (const Seal& seal : seals) ranges.push_back(seal.range);
  // The library has sent `prepare` before; a forged message has not.
  if (refuses_types(caller, ranges, message.seal.types)) return -EACCES;
  std::size_t filtered = message.kind == Control::Kind::add_filtered ? seals.size() : 0;
  if (message.last_is_supervised) --filtered;
  const std::span<const Seal> all = seals;
  const auto supervised = std::span(ranges).subspan(filtered);
  // The program has not sealed anything yet. A second copy of the library starts later.
  const bool at_start = caller.record->has_only_joined();
  const bool is_alone = message.is_alone;
  if (filtered != 0 && !is_alone && sharing_at_start(caller) != Sharing::alone) return -EAGAIN;
  if (!supervised.empty() &&
      !(at_start && is_alone ? sealer_.is_watched(supervised) : may_supervise(caller, supervised)))
    return -EAGAIN;
  const auto add = [&](std::span<const Seal> some, bool by_filter) -> std::int64_t {
    return some.empty() ? 0 : registry_.add(caller, some, by_filter);
  };
  std::int64_t added = add(all.first(filtered), true);
  if (added == 0) added = add(all.subspan(filtered), false);
  const bool starts = at_start || (filtered != 0 && !is_alone);
  return added == 0 && starts && !caller.only_thread ? policy::kHasOtherThreads : added;
}

// Constructors of libraries run before the library, and may have created sharers. After execve, these have
// later IDs than the caller, so there is none if the caller's was given last.
Sharing ReportedRequests::sharing_at_start(const Caller& caller) {
  if (!caller.forked && proc_.newest_id() == caller.process.id) return Sharing::alone;
  return registry_.register_sharers(caller);
}

// The supervisor is to enforce the seal, so calls there must go to it, in all processes that share the
// memory. A message that has a filtered part, too, comes from a program that has just started.
bool ReportedRequests::may_supervise(const Caller& caller, std::span<const Range> ranges) {
  if (!sealer_.is_watched(ranges)) return false;
  if (caller.record->has_only_joined()) return sharing_at_start(caller) != Sharing::unknown;
  registry_.begin_sealing(caller);
  return registry_.register_sharers(caller) != Sharing::unknown;
}

}  // namespace libmseal::supervisor
