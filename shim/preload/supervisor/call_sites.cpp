#include "shim/preload/supervisor/call_sites.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "policy/protocol/control.h"
#include "policy/rules/verdict.h"
#include "shim/common/clock.h"
#include "shim/preload/state/lock.h"
#include "shim/preload/supervisor/supervisor_link.h"
#include "shim/preload/supervisor/table_reader.h"

namespace libmseal::shim {
namespace {

using policy::Control;
using policy::MmCall;

MmCall decoded(const State& state, long number, const policy::Arguments& arguments) {
  return policy::decode(state.machine, state.machine.abis[0], static_cast<std::uint32_t>(number), arguments);
}

bool changes_mappings(const MmCall& call) {
  return call.effect == MmCall::Effect::modify || call.effect == MmCall::Effect::discard;
}

bool touches_seal(const State& state, const MmCall& call) {
  return std::ranges::any_of(call.ranges, [&](const policy::Range& range) {
    return !range.empty() && table_coverage(state.table, range) != policy::Coverage::none;
  });
}

// Whether a filter of this process refuses the call. The supervisor does not see such calls.
bool is_refused_by_filters(const State& state, const MmCall& call) {
  if (call.deferred) return false;
  return state.ledger->consult(
      [&](std::span<const policy::Seal> seals) { return policy::decide(call, {seals}) == policy::kRefuse; });
}

long tell(const MmCall& call, long number, const policy::Arguments& arguments, Site site, bool refused) {
  Control message{Control::Kind::call_site, {call.ranges[0]}};
  message.refused = refused;
  message.site = reinterpret_cast<std::uint64_t>(site);
  message.number = static_cast<std::uint32_t>(number);
  message.third = static_cast<std::uint32_t>(arguments[2]);
  return tell_supervisor(message);
}

void tell_of_counted(UntoldRefusals& untold) {
  const std::uint64_t count = untold.count.exchange(0);
  if (count == 0) return;
  Control message{Control::Kind::refusals, {}};
  message.count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
  (void)tell_supervisor(message);
}

__attribute__((destructor)) void tell_of_last() {
  tell_of_counted(untold_refusals());
}

}  // namespace

void announce_call(const State& state, long number, const policy::Arguments& arguments, Site site) {
  const MmCall call = decoded(state, number, arguments);
  if (changes_mappings(call) && touches_seal(state, call)) (void)tell(call, number, arguments, site, false);
}

void report_refusal(const State& state, long number, const policy::Arguments& arguments, Site site) {
  constexpr std::uint64_t kQuiet = 1'000'000;  // ns
  constexpr std::uint64_t kMostUntold = 63;
  const MmCall call = decoded(state, number, arguments);
  if (!changes_mappings(call)) return;
  UntoldRefusals& untold = untold_refusals();
  const std::uint64_t now = monotonic_ns();
  if (now < untold.quiet_until && untold.count < kMostUntold && is_refused_by_filters(state, call)) {
    ++untold.count;
    return;
  }
  tell_of_counted(untold);
  if (tell(call, number, arguments, site, true) == policy::kTooMany) untold.quiet_until = now + kQuiet;
}

}  // namespace libmseal::shim
