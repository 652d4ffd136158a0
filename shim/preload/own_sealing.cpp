#include "shim/preload/own_sealing.h"

#include <algorithm>
#include <cerrno>

#include "policy/protocol/control.h"
#include "shim/common/sharers.h"
#include "shim/preload/deny_filter.h"
#include "shim/preload/in_flight_calls.h"
#include "shim/preload/own_look.h"
#include "shim/preload/supervised_sealing.h"
#include "shim/preload/supervisor_link.h"
#include "shim/preload/why_unsealed.h"

namespace libmseal::shim {
namespace {

using policy::Backend;
using policy::Control;
using policy::Range;
using policy::Seal;

// How often a range may change its attributes while it is being sealed before we stop trying.
constexpr int kAttempts = 3;

bool all_sealed(std::span<const Seal> seals, std::span<const Range> ranges) {
  return std::all_of(ranges.begin(), ranges.end(), [seals](const Range& range) {
    return policy::coverage(seals, range) == policy::Coverage::fully;
  });
}

// Asks until nobody shares the memory, for a child made by vfork is gone in a moment; not for ever, for one
// made by clone may stay. The last answer.
template <class Ask>
long ask_until_alone(Ask ask) {
  constexpr int kMostNaps = 1000;
  constexpr long kNap = 1'000'000;  // ns
  long answer = ask();
  for (int naps = 0; answer == -EAGAIN && naps < kMostNaps; ++naps) {
    const timespec time{0, kNap};
    (void)raw_syscall(__NR_nanosleep, &time, nullptr);
    answer = ask();
  }
  return answer;
}

// Whether another process has this memory, where there is no supervisor to tell: 0, or -EAGAIN.
long look_for_sharers(State& state) {
  const ProcRoot proc;
  if (!shows_own_namespace(proc)) return -EAGAIN;
  SharerSearch search(proc, raw_syscall(__NR_getpid), raw_syscall(__NR_gettid));
  return search.run(state.alone_since, [](long) { return false; }) == Sharing::alone ? 0 : -EAGAIN;
}

// How to seal the ranges, or -errno. Without an answer from a supervisor, and many: by a filter.
long choose_way(State& state, std::span<const Range> ranges) {
  const auto as_answer = [](policy::Way way) { return static_cast<long>(way); };
  if (state.backend == Backend::seccomp) {
    for (const Range& range : ranges) {
      const long answer = ask_until_alone([&] { return tell_supervisor({Control::Kind::prepare, {range}}); });
      if (answer == -EAGAIN) return explain_sharing();
      if (answer == -EPERM) return explain_unknown();
      if (answer == as_answer(policy::Way::sealed)) continue;
      const bool one_way = ranges.size() == 1 || state.rules.covers_all;
      return answer >= 0 && one_way ? answer : as_answer(policy::Way::filter);
    }
    return as_answer(policy::Way::sealed);
  }
  const bool sealed =
      state.ledger.consult([&](std::span<const Seal> seals) { return all_sealed(seals, ranges); });
  if (sealed) return as_answer(policy::Way::sealed);
  if (ask_until_alone([&] { return look_for_sharers(state); }) != 0) return explain_sharing();
  return as_answer(policy::Way::filter);
}

// Puts state.pieces under the supervisor's eyes. False if it does not take them.
bool cover_by_supervisor(const State& state) {
  // No supervisor hears of brk: a filter refuses it, and in an audit nothing does.
  if (!state.refused_breaks.empty() && !state.rules.audits) return false;
  return std::all_of(state.pieces.begin(), state.pieces.end(), seal_by_supervisor);
}

// The filters leave deferred calls to the supervisor, so it has to know the seals. If it is gone, those calls
// fail anyway.
long register_filtered(const Pieces& pieces) {
  for (const Seal& piece : pieces) {
    const long told = tell_supervisor({Control::Kind::add_filtered, piece});
    if (told == 0 || told == -ENOSYS) continue;
    return told == -ENOMEM ? explain_table_full() : explain_unknown();
  }
  return 0;
}

// Whether another process has this memory: 0, or -EAGAIN if one has, and stays.
long wait_until_alone(State& state) {
  const bool supervised = state.backend == Backend::seccomp;
  const long alone = ask_until_alone([&] {
    return supervised ? tell_supervisor({Control::Kind::is_alone, {}}) : look_for_sharers(state);
  });
  return alone == 0 || alone == -ENOSYS ? 0 : -EAGAIN;
}

// Until no thread is left in a call that it began before state.pieces were covered, and no process that has
// the memory without their filter: 0 or -errno.
long wait_for_others(State& state) {
  // The first time for a child made by vfork, which its parent waits for; the second time for one that was
  // not to be found yet.
  if (wait_until_alone(state) != 0) return explain_sharing();
  const ProcRoot proc;
  const Births births = births_so_far(proc);
  if (const long waited = wait_for_in_flight_calls(state.machine); waited != 0) return explain_thread(waited);
  if (wait_until_alone(state) != 0) return explain_sharing();
  state.alone_since = births;
  return 0;
}

// The same mappings, with no attribute that the pieces that were covered lack?
bool pieces_hold(const Pieces& covered, const Range& breaks, const State& now) {
  if (!now.refused_breaks.empty() && !breaks.contains(now.refused_breaks)) return false;
  return std::all_of(now.pieces.begin(), now.pieces.end(), [&](const Seal& piece) {
    const auto as_strict = [&](const Seal& seal) { return seal.joined_with(piece, seal.range) == seal; };
    return policy::coverage(covered.view(), piece.range, as_strict) == policy::Coverage::fully;
  });
}

}  // namespace

long seal_by_own_look(State& state, std::span<const Range> ranges) {
  static Pieces covered;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const long read = find_own_pieces(state, ranges);
    if (read != 0 && read != -EINVAL) return read;
    const long way = choose_way(state, ranges);
    if (way < 0) return way;
    if (attempt == 0 && way == static_cast<long>(policy::Way::sealed)) return 0;
    if (read != 0) return read;  // a part of a huge page, which is not sealed as a whole
    covered = state.pieces;
    const Range breaks = state.refused_breaks;
    const bool by_supervisor =
        way == static_cast<long>(policy::Way::supervised) && cover_by_supervisor(state);
    if (!by_supervisor) {
      if (const long error = install_deny_filter(state); error != 0) return explain_filter_failure(error);
    }
    if (const long error = wait_for_others(state); error != 0) return error;
    if (const long again = find_own_pieces(state, ranges); again != 0) return again;
    if (!pieces_hold(covered, breaks, state)) continue;
    if (state.backend == Backend::filter) {
      for (const Seal& piece : covered) (void)state.ledger.add(piece);
    } else if (!by_supervisor) {
      if (const long error = register_filtered(covered); error != 0) return error;
    }
    for (const policy::KeyedRange& piece : state.keyed) (void)state.keyed_seals.add(piece);
    return 0;
  }
  return -EAGAIN;
}

}  // namespace libmseal::shim
