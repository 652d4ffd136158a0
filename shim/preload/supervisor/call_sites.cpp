#include "shim/preload/supervisor/call_sites.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "policy/protocol/control.h"
#include "policy/rules/verdict.h"
#include "shim/common/clock.h"
#include "shim/preload/state/lock.h"
#include "shim/preload/state/program_filters.h"
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
  if (call.delegated) return false;
  return state.local_seals->consult([&](std::span<const policy::Seal> seals) {
    return policy::decide(call, {seals}) == policy::Verdict::refuse;
  });
}

long send_site(const MmCall& call, long number, const policy::Arguments& arguments, Site site, bool refused) {
  Control message{Control::Kind::call_site, {call.ranges[0]}};
  message.refused = refused;
  message.site = reinterpret_cast<std::uint64_t>(site);
  message.number = static_cast<std::uint32_t>(number);
  message.third_argument = static_cast<std::uint32_t>(arguments[2]);
  return send_message(message);
}

void report_counted(UnreportedRefusals& unreported) {
  const std::uint64_t count = unreported.count.exchange(0);
  if (count == 0) return;
  Control message{Control::Kind::refusals, {}};
  message.count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
  (void)send_message(message);
}

__attribute__((destructor)) void report_last() {
  report_counted(unreported_refusals());
}

}  // namespace

void announce_call(const State& state, long number, const policy::Arguments& arguments, Site site) {
  const MmCall call = decoded(state, number, arguments);
  if (changes_mappings(call) && touches_seal(state, call))
    (void)send_site(call, number, arguments, site, false);
}

void report_refusal(const State& state, long number, const policy::Arguments& arguments, Site site) {
  constexpr std::uint64_t kQuiet = 1'000'000;  // ns
  constexpr std::uint64_t kMostUnreported = 63;
  if (program_filters_kill(Purpose::optional) || program_filters_bar_messages()) return;
  const MmCall call = decoded(state, number, arguments);
  if (!changes_mappings(call)) return;
  UnreportedRefusals& unreported = unreported_refusals();
  const std::uint64_t now = monotonic_ns();
  if (now < unreported.quiet_until && unreported.count < kMostUnreported &&
      is_refused_by_filters(state, call)) {
    ++unreported.count;
    return;
  }
  report_counted(unreported);
  if (send_site(call, number, arguments, site, true) == policy::kTooMany)
    unreported.quiet_until = now + kQuiet;
}

}  // namespace libmseal::shim
