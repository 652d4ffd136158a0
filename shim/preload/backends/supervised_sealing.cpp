#include "shim/preload/backends/supervised_sealing.h"

#include <cerrno>

#include "policy/protocol/control.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_sealing.h"
#include "shim/preload/filters/deny_filter.h"
#include "shim/preload/filters/first_filter.h"
#include "shim/preload/memory/heap.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/process/own_sharers.h"
#include "shim/preload/state/lock.h"
#include "shim/preload/supervisor/supervisor_link.h"
#include "shim/preload/supervisor/table_reader.h"

namespace libmseal::shim {

using policy::Control;
using policy::NextStep;
using policy::Range;
using policy::Seal;

namespace {

// The supervisor asks for fewer.
constexpr int kMostFilters = 8;
// The processes of an image share the part of the table where the supervisor puts its findings. If several
// seal at once, at least one of them makes progress.
constexpr int kMostOvertakings = 10'000;

// `seal` and `filters_are_in` contain the break, which only the process itself knows.
Control with_break(const State& state, Control::Kind kind, const Range& range = {},
                   policy::SealTypes types = policy::kWholeSeal) {
  Control message{kind, {range}};
  message.seal.types = types;
  message.present_break = present_break(state.machine);
  message.discard_as_kernel = state.options.discard == policy::DiscardRule::kernel;
  return message;
}

long explain_answer(long error) {
  switch (error) {
    case -ENOMEM:
    case -EINVAL:
    case -EACCES:
      return error;
    case -E2BIG:
      return explain(Why::many_pieces);
    case -ENOSPC:
      return explain(Why::table_full);
    case -EBUSY:
      return explain(Why::thread);
    case -EUSERS:
      return explain(Why::overtaken);
    case -EAGAIN:
      return explain(Why::shared);
    default:
      return explain(Why::unknown);
  }
}

// What the supervisor means by refusing a range.
SupervisorAnswer not_taken(const State& state, long answer) {
  if (answer == -ENOSYS) return {false, explain(Why::gone)};
  if (answer == -EPERM) return {true, 0};
  // Without the filter, the kernel's own mseal(2) answers.
  if (answer == -EINVAL && !has_first_filter(state)) return {false, explain(Why::not_ours)};
  return {false, explain_answer(answer)};
}

// Notes the sealed memory with protection keys.
void take_keys(State& state, std::uint32_t ticket, FoundMappings& found) {
  // If its keys are not known, the memory is sealed, but no thread may discard it.
  if (ticket != 0 && take_found(state.table, ticket, found)) (void)state.keyed_seals->add(found.keyed.view());
}

// Lets the supervisor seal the ranges that it was sent before and `last`, and installs the filters that it
// asks for.
SupervisorAnswer let_supervisor_seal(State& state, const Range& last, Job& job) {
  bool looks = false;  // for sharers, because the supervisor can't tell
  ForkSample looked_at{};
  const auto send = [&](Control::Kind kind, const Range& range = {}) {
    const bool seals = kind == Control::Kind::seal;
    Control message = with_break(state, kind, range, seals ? job.types : policy::kWholeSeal);
    message.is_alone = looks;
    return send_message(message);
  };
  const auto ask = [&] { return send(Control::Kind::seal, last); };
  const auto look = [&] { return ask_until_alone([&] { return look_for_sharers(state); }); };
  const auto give_up = [](long error) {
    (void)send_message({Control::Kind::cancel, {}});
    return SupervisorAnswer{false, error};
  };
  long answer = ask();
  int overtakings = 0;
  job.covered.clear();
  for (int filters = 0; filters < kMostFilters;) {
    if (answer < 0) return not_taken(state, answer);
    const policy::SealAnswer next = policy::decode_seal_answer(answer);
    if (next.step == NextStep::sealed) {
      if (const long error = looks ? look() : 0; error != 0) return {false, explain_sharing(error)};
      // The supervisor has seen every thread outside of clone meanwhile.
      if (looks) note_alone(state, looked_at);
      note_sealed_by_filters(state, job.covered.view());
      take_keys(state, next.ticket, job.found);
      return {false, 0};
    }
    if (next.step == NextStep::by_itself) return {true, 0};
    if (next.step == NextStep::again) {
      ++filters;  // counts as one, to limit the attempts
      answer = send(Control::Kind::seal);
      continue;
    }
    if (next.step == NextStep::look) {
      if (looks) return give_up(explain(Why::shared));
      if (const long error = look(); error != 0) return give_up(explain_sharing(error));
      looks = true;
      looked_at = sample_forks(ProcRoot());
      answer = job.covered.empty() ? ask() : send(Control::Kind::filters_are_in);
      continue;
    }
    if (!take_found(state.table, next.ticket, job.found)) {  // another process of this image has replaced it
      if (++overtakings == kMostOvertakings) break;
      answer = ask();
      continue;
    }
    ++filters;
    job.covered = job.found.pieces;
    const DenyFilter filter{job.covered.view(), job.found.refused_breaks, true};
    if (const long installed = install_deny_filter(state, filter, job.draft); installed != 0)
      return give_up(explain_filter_failure(installed));
    answer = send(Control::Kind::filters_are_in);
    // The supervisor sees no filter: another one answered instead of the kernel.
    if (answer == -EPERM) return give_up(explain_filter_failure(answer));
  }
  return give_up(explain(overtakings == kMostOvertakings ? Why::overtaken : Why::thread));
}

// ---- if the supervisor may not read the mappings ----

long choose_step(const State& state, std::span<const Range> ranges, policy::SealTypes types,
                 std::span<const Seal>) {
  Control message{Control::Kind::prepare, {ranges.front()}};
  message.seal.types = types;
  long answer = ask_until_alone([&] { return send_message(message); });
  if (answer == static_cast<long>(NextStep::look)) {
    const long error = ask_until_alone([&] { return look_for_sharers(state); });
    if (error != 0) return explain_sharing(error);
    message.is_alone = true;
    answer = send_message(message);
  }
  if (answer == -EACCES) return answer;
  if (answer < 0) return explain_sharing(answer);
  const bool same_for_all = ranges.size() == 1 || state.tree_options.covers_all;
  return same_for_all ? answer : static_cast<long>(NextStep::filter);
}

// The supervisor decides delegated calls, so it has to know the seals that filters enforce.
long register_filtered(State& state, std::span<const Seal> pieces) {
  const long sent = send_seals(pieces, pieces.size(), true);  // it has looked itself
  if (sent == -ENOMEM) return explain(Why::table_full);
  if (sent != 0) return explain(sent == -ENOSYS ? Why::gone : Why::unknown);
  note_sealed_by_filters(state, pieces);
  return 0;
}

bool seal_by_supervisor(const Seal& piece) {
  return send_message({Control::Kind::add_supervised, piece}) == 0;
}

}  // namespace

void note_sealed_by_filters(State& state, std::span<const Seal> pieces) {
  if (pieces.empty()) return;
  if (local_seals_are_of_parent()) state.local_seals->clear();
  note_local_seals_are_own();
  (void)state.local_seals->add(pieces);
}

bool is_sealed_by_filters(const State& state, std::span<const Range> ranges, policy::SealTypes types) {
  return !local_seals_are_of_parent() && local_seals_cover(state, ranges, types);
}

SupervisorAnswer seal_as_supervisor_says(State& state, std::span<const Range> ranges, Job& job) {
  if (ranges.size() == 1) return let_supervisor_seal(state, ranges[0], job);
  const long sent = send_ranges(ranges);
  return sent == 0 ? let_supervisor_seal(state, {}, job) : not_taken(state, sent);
}

SupervisorAnswer seal_objects_as_supervisor_says(State& state, std::span<const ObjectPart> parts, Job& job) {
  for (const ObjectPart& part : parts) {
    Control message{Control::Kind::range, {part.range}};
    message.object_part = true;
    message.writable_too = part.writable_too;
    if (const long sent = send_message(message); sent != 0) return not_taken(state, sent);
  }
  return let_supervisor_seal(state, {}, job);
}

long seal_by_itself_supervised(State& state, std::span<const Range> ranges, Job& job) {
  return seal_by_itself(state, ranges, {choose_step, register_filtered, seal_by_supervisor}, job);
}

long is_alone_supervised(const State& state) {
  const long answer = send_message({Control::Kind::is_alone, {}});
  return answer == static_cast<long>(NextStep::look) ? look_for_sharers(state) : answer;
}

}  // namespace libmseal::shim
