#include "shim/preload/supervised_sealing.h"

#include <algorithm>
#include <cerrno>

#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/deny_filter.h"
#include "shim/preload/supervisor_link.h"
#include "shim/preload/table_reader.h"
#include "shim/preload/why_unsealed.h"

namespace libmseal::shim {

using policy::Control;
using policy::Range;
using policy::Seal;
using policy::Way;

namespace {

// More than the supervisor asks for.
constexpr int kMostFilters = 8;

// `seal` and `filters_are_in` say where the break is, which nobody else knows.
Control with_break(const State& state, Control::Kind kind, const Range& range = {}) {
  Control message{kind, {range}};
  message.present_break =
      policy::round_up(static_cast<std::uint64_t>(raw_syscall(__NR_brk, 0)), state.machine.page_size);
  message.discard_as_kernel = state.options.discard == policy::DiscardRule::kernel;
  return message;
}

long explain(long error) {
  switch (error) {
    case -ENOMEM:
    case -EINVAL:
      return error;
    case -E2BIG:
      return explain_many_pieces();
    case -ENOSPC:
      return explain_table_full();
    case -EBUSY:
      return explain_thread(-EAGAIN);
    case -EAGAIN:
      return explain_sharing();
    default:
      return explain_unknown();
  }
}

// What the supervisor has sealed may be memory with keys.
long take_keys(State& state, std::uint32_t ticket) {
  if (ticket == 0) return 0;
  // Without its keys, memory is sealed all the same: then no thread may discard it.
  if (!take_found(state, ticket)) return 0;
  for (const policy::KeyedRange& piece : state.keyed) (void)state.keyed_seals.add(piece);
  return 0;
}

}  // namespace

Asked seal_by_supervisors_look(State& state, std::span<const Wanted> wanted) {
  const bool one = wanted.size() == 1 && !wanted[0].constant;
  if (!one) {
    for (const Wanted& part : wanted) {
      Control message{Control::Kind::range, {part.range}};
      message.constant = part.constant;
      message.with_data = part.constant && part.with_data;
      const long told = tell_supervisor(message);
      if (told == -ENOSYS) return {true, 0};
      if (told != 0) return {false, explain(told)};
    }
  }
  const auto ask = [&] {
    return tell_supervisor(with_break(state, Control::Kind::seal, one ? wanted[0].range : Range{}));
  };
  long answer = ask();
  if (answer == -ENOSYS || answer == -EPERM) return {true, 0};
  for (int filters = 0; filters < kMostFilters; ++filters) {
    if (answer < 0) return {false, explain(answer)};
    const policy::Next next = policy::decode_next(answer);
    if (next.way == Way::sealed) return {false, take_keys(state, next.ticket)};
    if (next.way == Way::yourself) return {true, 0};
    if (!take_found(state, next.ticket)) {  // another process of this image has been faster
      answer = ask();
      continue;
    }
    if (const long installed = install_deny_filter(state); installed != 0) {
      (void)tell_supervisor({Control::Kind::give_up, {}});
      return {false, explain_filter_failure(installed)};
    }
    answer = tell_supervisor(with_break(state, Control::Kind::filters_are_in));
  }
  (void)tell_supervisor({Control::Kind::give_up, {}});
  return {false, explain_thread(-EAGAIN)};
}

bool seal_by_supervisor(const Seal& piece) {
  return tell_supervisor({Control::Kind::add_supervised, piece}) == 0;
}

}  // namespace libmseal::shim
