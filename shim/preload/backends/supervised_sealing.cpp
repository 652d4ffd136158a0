#include "shim/preload/backends/supervised_sealing.h"

#include <cerrno>

#include "policy/protocol/control.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_sealing.h"
#include "shim/preload/filters/deny_filter.h"
#include "shim/preload/filters/first_filter.h"
#include "shim/preload/memory/heap.h"
#include "shim/preload/messages/why_unsealed.h"
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
  if (answer == -ENOSYS) return {true, 0};
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
  const auto ask = [&] { return send_message(with_break(state, Control::Kind::seal, last, job.types)); };
  long answer = ask();
  if (answer == -ENOSYS || answer == -EPERM) return {true, 0};
  int overtakings = 0;
  job.covered.clear();
  for (int filters = 0; filters < kMostFilters;) {
    if (answer < 0) return not_taken(state, answer);
    const policy::SealAnswer next = policy::decode_seal_answer(answer);
    if (next.step == NextStep::sealed) {
      note_sealed_by_filters(state, job.covered.view());
      take_keys(state, next.ticket, job.found);
      return {false, 0};
    }
    if (next.step == NextStep::by_itself) return {true, 0};
    if (next.step == NextStep::again) {
      ++filters;  // counts as one, to limit the attempts
      answer = send_message(with_break(state, Control::Kind::seal, {}, job.types));
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
    if (const long installed = install_deny_filter(state, filter, job.draft); installed != 0) {
      (void)send_message({Control::Kind::cancel, {}});
      return {false, explain_filter_failure(installed)};
    }
    answer = send_message(with_break(state, Control::Kind::filters_are_in));
    if (answer == -EPERM) {  // the supervisor sees no filter: another one answered instead of the kernel
      (void)send_message({Control::Kind::cancel, {}});
      return {false, explain_filter_failure(answer)};
    }
  }
  (void)send_message({Control::Kind::cancel, {}});
  return {false, explain(overtakings == kMostOvertakings ? Why::overtaken : Why::thread)};
}

// ---- if the supervisor may not read the mappings ----

long choose_step(const State& state, std::span<const Range> ranges, policy::SealTypes types,
                 std::span<const Seal>) {
  Control message{Control::Kind::prepare, {ranges.front()}};
  message.seal.types = types;
  const long answer = ask_until_alone([&] { return send_message(message); });
  if (answer == -EACCES) return answer;
  if (answer == -EAGAIN) return explain(Why::shared);
  if (answer == -EPERM) return explain(Why::unknown);
  const bool same_for_all = ranges.size() == 1 || state.tree_options.covers_all;
  return answer >= 0 && same_for_all ? answer : static_cast<long>(NextStep::filter);
}

// The supervisor decides delegated calls, so it has to know the seals that filters enforce. If it is gone,
// those calls fail anyway.
long register_filtered(State& state, std::span<const Seal> pieces) {
  const long sent = send_seals(pieces, pieces.size());
  if (sent == 0 || sent == -ENOSYS) {
    note_sealed_by_filters(state, pieces);
    return 0;
  }
  return sent == -ENOMEM ? explain(Why::table_full) : explain(Why::unknown);
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

long is_alone_supervised(const State& /*state*/) {
  const long answer = send_message({Control::Kind::is_alone, {}});
  return answer == -ENOSYS ? 0 : answer;
}

}  // namespace libmseal::shim
