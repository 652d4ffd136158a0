#include "shim/preload/sealing.h"

#include <linux/seccomp.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "policy/range_program.h"
#include "policy/seal_request.h"
#include "shim/common/maps_reader.h"
#include "shim/common/sharers.h"
#include "shim/preload/backend.h"
#include "shim/preload/calls_under_way.h"
#include "shim/preload/filter.h"
#include "shim/preload/heap.h"
#include "shim/preload/lock.h"
#include "shim/preload/message.h"
#include "shim/preload/protection_keys.h"
#include "shim/preload/supervisor_link.h"

namespace libmseal::shim {
namespace {

using policy::Backend;
using policy::Control;
using policy::Range;
using policy::Seal;

// How often a range may change its attributes while it is being sealed before we stop trying.
constexpr int kAttempts = 3;

// Whether `part` begins or ends inside of a huge page.
bool cuts_huge_page(const State& state, const policy::Vma& vma, const Range& part) {
  const std::uint64_t smallest = state.machine.huge_pages.front();
  const bool whole = part.start % smallest == 0 && part.end % smallest == 0;
  if (whole && part.start % (1ULL << 30) == 0 && part.end % (1ULL << 30) == 0) return false;
  if (part == vma.range || !policy::may_have_huge_pages(state.machine, vma)) return false;
  const std::uint64_t page = page_size_at("/proc/thread-self/smaps", vma.range.start);
  return page == ~0ULL || part.start % page != 0 || part.end % page != 0;
}

// What is mapped in `ranges` (sorted, apart), as seals, into state.pieces, with state.breaks. ENOMEM if
// any of it is not mapped, or it is in too many pieces; EINVAL for a part of a huge page.
long read_pieces(State& state, std::span<const Range> ranges) {
  state.pieces.clear();
  const Range* range = ranges.data();
  const Range* const end = range + ranges.size();
  std::uint64_t next = range->start;  // mapped up to here
  bool fits = true;
  bool whole = true;
  bool cuts = false;
  const long read = read_maps("/proc/thread-self/maps", [&](const policy::Vma& vma) {
    while (range != end && vma.range.end > next) {
      whole = whole && vma.range.start <= next;
      if (!whole) return false;
      const Range part = policy::intersection(vma.range, *range);
      cuts = cuts || cuts_huge_page(state, vma, part);
      const Seal piece = policy::seal_of(vma, part, state.options.discard);
      fits = fits && policy::add_seal(state.pieces, piece, Pieces::capacity());
      next = part.end;
      if (next < range->end) return true;
      if (++range != end) next = range->start;
    }
    return range != end;
  });
  if (read != 0) return read;
  if (!fits) {
    Message() << "mseal: the range has too many mappings of different kinds; seal it in parts";
    return -ENOMEM;
  }
  if (range != end) return -ENOMEM;
  if (cuts) return -EINVAL;
  if (const long error = find_break_reach(state.machine, state.pieces.view(), state.breaks); error != 0)
    return error;
  return find_keyed_pieces(state, ranges);
}

// Each complaint is made once: a program may try in a loop.
void complain_once(bool& made, std::string_view text, std::string_view advice) {
  if (made) return;
  made = true;
  Message() << "mseal: " << text << ": " << advice;
}

long explain_filter_failure(long error) {
  static bool no_room = false;
  static bool diverged = false;
  static bool other = false;
  switch (error) {
    case -ENOMEM:
      complain_once(no_room, "the kernel takes no more filters for this process",
                    "seal larger ranges, or fewer; what is sealed stays sealed");
      return -ENOMEM;
    case -ESRCH:
      complain_once(diverged, "a thread of this program installed seccomp filters of its own",
                    "seal before that, or let every thread have them (SECCOMP_FILTER_FLAG_TSYNC)");
      return -EAGAIN;
    default:
      complain_once(other, text_of_error(error), "the filter could not be installed, nothing was sealed");
      return -EAGAIN;
  }
}

long explain_sharing() {
  static bool said = false;
  complain_once(said, "another process runs in this memory (vfork, clone), or may do so",
                "seal before it is started or after it has ended");
  return -EAGAIN;
}

long explain_unknown() {
  static bool said = false;
  complain_once(said, "the supervisor can't look at this process", "seal before PR_SET_DUMPABLE 0");
  return -EAGAIN;
}

long explain_thread(long error) {
  static bool said = false;
  complain_once(said, "a thread stays inside a call that changes memory",
                "the seal may come too late for that call");
  return error;
}

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
  if (!state.breaks.refused.empty() && !state.rules.audits) return false;
  return std::all_of(state.pieces.begin(), state.pieces.end(), seal_by_supervisor);
}

// The filters leave deferred calls to the supervisor, so it has to know the seals. If it is gone, those calls
// fail anyway.
long register_filtered(const State& state) {
  static bool full = false;
  for (const Seal& piece : state.pieces) {
    const long told = tell_supervisor({Control::Kind::add_filtered, piece});
    if (told == 0 || told == -ENOSYS) continue;
    if (told != -ENOMEM) return explain_unknown();
    complain_once(full, "the supervisor's table is full",
                  "seal larger ranges, or fewer; what is sealed stays sealed");
    return -ENOMEM;
  }
  return 0;
}

// Puts filters in force for state.pieces: 0 or -errno.
long cover_by_filters(State& state) {
  const long installed = install_deny_filter(state);
  if (installed != 0) return explain_filter_failure(installed);
  // Who came to share the memory between the first look and the filter does not have it.
  const bool supervised = state.backend == Backend::seccomp;
  const long alone = ask_until_alone([&] {
    return supervised ? tell_supervisor({Control::Kind::filters_are_in, {}}) : look_for_sharers(state);
  });
  if (alone != 0 && alone != -ENOSYS) return explain_sharing();
  return supervised ? register_filtered(state) : 0;
}

// The same mappings, with no attribute that the pieces that were covered lack?
bool pieces_hold(const Pieces& covered, const Range& breaks, const State& now) {
  if (!now.breaks.refused.empty() && !breaks.contains(now.breaks.refused)) return false;
  return std::all_of(now.pieces.begin(), now.pieces.end(), [&](const Seal& piece) {
    const auto as_strict = [&](const Seal& seal) { return seal.joined_with(piece, seal.range) == seal; };
    return policy::coverage(covered.view(), piece.range, as_strict) == policy::Coverage::fully;
  });
}

long seal_enforced(State& state, std::span<const Range> ranges) {
  static Pieces covered;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const long read = read_pieces(state, ranges);
    if (read != 0 && read != -EINVAL) return read;
    const long way = choose_way(state, ranges);
    if (way < 0) return way;
    if (attempt == 0 && way == static_cast<long>(policy::Way::sealed)) return 0;
    if (read != 0) return read;  // a part of a huge page, which is not sealed as a whole
    covered = state.pieces;
    const Range breaks = state.breaks.refused;
    const bool by_supervisor =
        way == static_cast<long>(policy::Way::supervised) && cover_by_supervisor(state);
    if (!by_supervisor) {
      if (const long done = cover_by_filters(state); done != 0) return done;
    }
    if (const long waited = wait_for_calls_under_way(state.machine); waited != 0)
      return explain_thread(waited);
    if (const long again = read_pieces(state, ranges); again != 0) return again;
    if (!pieces_hold(covered, breaks, state)) continue;
    if (state.backend == Backend::filter) {
      for (const Seal& piece : covered) (void)state.ledger.add(piece);
    }
    for (const policy::KeyedRange& piece : state.keyed) (void)state.keyed_seals.add(piece);
    return 0;
  }
  return -EAGAIN;
}

long seal_in_ledger(State& state, std::span<const Range> ranges) {
  if (const long read = read_pieces(state, ranges); read != 0) return read;
  for (const Seal& piece : state.pieces) {
    if (!state.ledger.add(piece)) {
      static bool said = false;
      complain_once(said, "no room for more seals",
                    "seal larger ranges, or fewer; what is sealed stays sealed");
      return -ENOMEM;
    }
  }
  for (const policy::KeyedRange& piece : state.keyed) (void)state.keyed_seals.add(piece);
  return 0;
}

long seal_by_kernel(State& state, std::span<const Range> ranges) {
  // mseal(2) takes one range: what is wrong with any of them is found before the first is sealed for good.
  if (ranges.size() > 1) {
    if (const long read = read_pieces(state, ranges); read != 0) return read;
  }
  for (const Range& range : ranges) {
    const long result = raw_syscall(policy::kMsealNumber, range.start, range.size(), 0);
    if (result != 0) return result;
    (void)state.ledger.add({range, true});
  }
  return 0;
}

// The program for these pieces into state.program; false if it is too long.
bool compile_pieces(State& state, std::span<const Seal> pieces) {
  list_ranges(state, pieces);
  policy::RangeProgram what;
  what.denied = {state.ranges.view(), state.contents.view()};
  what.denial = SECCOMP_RET_ERRNO | EPERM;
  what.refused_breaks = state.breaks.refused;
  if (state.table != nullptr) {
    what.deferred = SECCOMP_RET_ALLOW;  // the first filter brings them to the supervisor
  } else {
    refuse_what_nobody_judges(state, pieces, what);
  }
  state.program.clear();
  const auto allow = state.program.ret(SECCOMP_RET_ALLOW);
  return policy::compile(state.machine, what, allow, state.program);
}

// In as few filters as take them.
long install_in_parts(State& state, std::span<const Seal> pieces) {
  if (compile_pieces(state, pieces)) return install_filter(state.program.instructions(), false);
  if (pieces.size() == 1) return -ENOMEM;
  const std::size_t half = pieces.size() / 2;
  if (const long error = install_in_parts(state, pieces.first(half)); error != 0) return error;
  return install_in_parts(state, pieces.subspan(half));
}

// Whether the kernel has room for all of them: a filter can't be taken back, so a child tries first.
long rehearse(State& state) {
  const long child =
      raw_syscall(__NR_clone, 0, 0, 0, 0, 0);  // neither SIGCHLD nor an ordinary wait() tells of it
  if (failed(child)) return child;
  if (child == 0) {
    const long error = install_in_parts(state, state.pieces.view());
    while (true) (void)raw_syscall(__NR_exit_group, error == 0 ? 0 : 1);
  }
  int status = 0;
  long waited = 0;
  do {
    waited = raw_syscall(__NR_wait4, child, &status, __WCLONE, nullptr);
  } while (waited == -EINTR);
  return waited == child && status == 0 ? 0 : -ENOMEM;
}

// Ranges sorted and apart.
long seal_checked(State& state, std::span<const Range> ranges) {
  if (state.backend == Backend::automatic) {
    if (const long error = start_backend_late(state); error != 0) return error;
  }
  switch (state.backend) {
    case Backend::kernel:
      return seal_by_kernel(state, ranges);
    case Backend::seccomp:
    case Backend::filter:
      return seal_enforced(state, ranges);
    case Backend::libc:
    case Backend::automatic:
      break;
  }
  return seal_in_ledger(state, ranges);
}

}  // namespace

bool seal_by_supervisor(const Seal& piece) {
  return tell_supervisor({Control::Kind::add_supervised, piece}) == 0;
}

void list_ranges(State& state, std::span<const Seal> pieces) {
  const auto append = [](Ranges& ranges, const Range& range) {
    if (!ranges.empty() && ranges.back().end == range.start) {
      ranges.back().end = range.end;
    } else {
      (void)ranges.push_back(range);  // never more ranges than pieces
    }
  };
  state.ranges.clear();
  state.contents.clear();
  for (const Seal& piece : pieces) {
    append(state.ranges, piece.range);
    if (piece.discard_protected) append(state.contents, piece.range);
  }
}

void refuse_what_nobody_judges(State& state, std::span<const Seal> pieces, policy::RangeProgram& what) {
  state.attachments.clear();
  for (const Seal& piece : pieces) {
    what.refuse_grows_down = what.refuse_grows_down || piece.may_grow_down;
    const auto held = state.attachments.view();
    const bool listed = std::find(held.begin(), held.end(), piece.attachment) != held.end();
    // What finds no room is not lost: its pages are refused to everything but shmdt.
    if (piece.attachment != 0 && !listed) (void)state.attachments.push_back(piece.attachment);
  }
  what.attachments = state.attachments.view();
}

long install_deny_filter(State& state) {
  if (!compile_pieces(state, state.pieces.view())) {
    if (const long error = rehearse(state); error != 0) return error;
  }
  return install_in_parts(state, state.pieces.view());
}

long seal(State& state, std::uint64_t address, std::uint64_t length, std::uint64_t flags) {
  Range range;
  if (flags != 0) return -EINVAL;
  if (const long error = policy::check_request(state.machine, address, length, range); error != 0)
    return error;
  if (range.empty()) return 0;
  const ExclusiveSection section;
  return seal_checked(state, {&range, 1});
}

long seal_all(State& state, std::span<const mseal_range> ranges, std::uint64_t flags) {
  if (flags != 0) return -EINVAL;
  const ExclusiveSection section;
  static Pieces joined;
  static Ranges wanted;
  joined.clear();
  wanted.clear();
  for (const mseal_range& one : ranges) {
    Range range;
    const auto start = reinterpret_cast<std::uint64_t>(one.addr);
    if (const long error = policy::check_request(state.machine, start, one.len, range); error != 0)
      return error;
    if (!policy::add_seal(joined, {range}, Pieces::capacity())) return -ENOMEM;
  }
  for (const Seal& one : joined) (void)wanted.push_back(one.range);
  return wanted.empty() ? 0 : seal_checked(state, wanted.view());
}

}  // namespace libmseal::shim
