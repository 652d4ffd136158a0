#include "shim/preload/sealing.h"

#include <linux/seccomp.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "policy/range_program.h"
#include "policy/seal_request.h"
#include "policy/verdict.h"
#include "shim/common/maps_reader.h"
#include "shim/preload/backend.h"
#include "shim/preload/calls_under_way.h"
#include "shim/preload/filter.h"
#include "shim/preload/lock.h"
#include "shim/preload/message.h"
#include "shim/preload/protection_keys.h"
#include "shim/preload/sharers.h"
#include "shim/preload/supervisor_link.h"

namespace libmseal::shim {
namespace {

using policy::Backend;
using policy::Control;
using policy::Range;
using policy::Seal;

// How often a range may change its attributes while it is being sealed before we stop trying.
constexpr int kAttempts = 3;

// What is mapped in `ranges` (sorted, apart), as seals, into state.pieces. ENOMEM if any of it is not mapped,
// or it is in too many pieces. `heap` becomes [start_brk, break) if a range reaches into it, and stays empty
// if not.
long read_pieces(State& state, std::span<const Range> ranges, Range& heap) {
  state.pieces.clear();
  const Range* range = ranges.data();
  const Range* const end = range + ranges.size();
  std::uint64_t next = range->start;  // mapped up to here
  bool fits = true;
  bool whole = true;
  bool in_heap = false;
  heap = {};
  const long read = read_maps("/proc/self/maps", [&](const policy::Vma& vma) {
    const bool of_heap = vma.name == "[heap]";  // in several pieces once its protection was changed in parts
    if (of_heap) heap = heap.empty() ? vma.range : Range{heap.start, vma.range.end};
    while (range != end && vma.range.end > next) {
      whole = whole && vma.range.start <= next;
      if (!whole) return false;
      const Range part = policy::intersection(vma.range, *range);
      in_heap = in_heap || of_heap;
      const bool kept = policy::keeps_contents(vma, state.options.discard);
      fits = fits && policy::add_seal(state.pieces, {part, kept, 0}, Pieces::capacity());
      next = part.end;
      if (next < range->end) return true;
      if (++range != end) next = range->start;
    }
    return range != end || of_heap;
  });
  if (!in_heap) heap = {};
  if (read != 0) return read;
  if (!fits) {
    Message() << "mseal: the range has too many mappings of different kinds; seal it in parts";
    return -ENOMEM;
  }
  if (range != end) return -ENOMEM;
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

long explain_sharing(long shared) {
  static bool said = false;
  complain_once(said,
                shared > 0 ? "another process runs in this memory (vfork, clone)"
                           : "cannot tell who shares this memory",
                "seal before it is started or after it has ended");
  return -EAGAIN;
}

long explain_thread(long error) {
  static bool said = false;
  complain_once(said, "a thread stays inside a call that changes memory",
                "the seal may come too late for that call");
  return error;
}

bool tell_all(const State& state, Control::Kind kind) {
  for (const Seal& piece : state.pieces) {
    if (tell_supervisor({kind, piece}) != 0) return false;
  }
  return true;
}

bool all_sealed(std::span<const Seal> seals, std::span<const Range> ranges) {
  return std::all_of(ranges.begin(), ranges.end(), [seals](const Range& range) {
    return policy::coverage(seals, range, [](const Seal&) { return true; }) == policy::Coverage::fully;
  });
}

// How to seal the ranges, or -errno. Without an answer from a supervisor, and many: by a filter.
long choose_way(const State& state, std::span<const Range> ranges) {
  const auto as_answer = [](policy::Way way) { return static_cast<long>(way); };
  if (state.backend == Backend::seccomp) {
    for (const Range& range : ranges) {
      const long answer = tell_supervisor({Control::Kind::prepare, {range, false, 0}});
      if (answer == -EAGAIN) return explain_sharing(1);
      if (answer == as_answer(policy::Way::sealed)) continue;
      const bool one_way = ranges.size() == 1 || state.rules.covers_all;
      return answer >= 0 && one_way ? answer : as_answer(policy::Way::filter);
    }
    return as_answer(policy::Way::sealed);
  }
  const bool sealed =
      state.ledger.consult([&](std::span<const Seal> seals) { return all_sealed(seals, ranges); });
  return as_answer(sealed ? policy::Way::sealed : policy::Way::filter);
}

// The filters leave calls that are rare or whose extent they can't see to the supervisor, so it has to know
// the seals. If it is gone, those calls fail anyway.
long register_filtered(const State& state) {
  static bool full = false;
  static bool unknown = false;
  for (const Seal& piece : state.pieces) {
    const long told = tell_supervisor({Control::Kind::add_filtered, piece});
    if (told == 0 || told == -ENOSYS) continue;
    if (told == -ENOMEM) {
      complain_once(full, "the supervisor's table is full",
                    "seal larger ranges, or fewer; what is sealed stays sealed");
      return -ENOMEM;
    }
    complain_once(unknown, "the supervisor can't look at this process", "seal before PR_SET_DUMPABLE 0");
    return -EAGAIN;
  }
  return 0;
}

// state.pieces, covered: 0 or -errno. A sealed heap needs a filter, for the supervisor is not told of brk.
long cover(State& state, long way, const Range& heap) {
  const bool by_hull = way == static_cast<long>(policy::Way::hull) && heap.empty();
  if (by_hull && tell_all(state, Control::Kind::add_to_hull)) return 0;
  if (const long shared = memory_is_shared(); shared != 0) return explain_sharing(shared);
  const long installed = install_deny_filter(state, heap);
  if (installed != 0) return explain_filter_failure(installed);
  return state.backend == Backend::seccomp ? register_filtered(state) : 0;
}

// The same mappings, protected at least as the pieces that were covered?
bool pieces_hold(const Pieces& covered, const Pieces& now) {
  for (const Seal& piece : now) {
    if (!piece.keeps_contents) continue;
    const auto keeps = [](const Seal& seal) { return seal.keeps_contents; };
    if (policy::coverage(covered.view(), piece.range, keeps) != policy::Coverage::fully) return false;
  }
  return true;
}

long seal_enforced(State& state, std::span<const Range> ranges) {
  static Pieces covered;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Range heap;
    if (const long read = read_pieces(state, ranges, heap); read != 0) return read;
    const long way = choose_way(state, ranges);
    if (way < 0) return way;
    if (attempt == 0 && way == static_cast<long>(policy::Way::sealed)) return 0;
    covered = state.pieces;
    if (const long done = cover(state, way, heap); done != 0) return done;
    if (const long waited = wait_for_calls_under_way(state.machine); waited != 0)
      return explain_thread(waited);
    if (const long read = read_pieces(state, ranges, heap); read != 0) return read;
    if (!pieces_hold(covered, state.pieces)) continue;
    if (state.backend == Backend::filter) {
      for (const Seal& piece : covered) (void)state.ledger.add(piece);
    }
    for (const Seal& piece : state.keyed) (void)state.keyed_seals.add(piece);
    return 0;
  }
  return -EAGAIN;
}

long seal_in_ledger(State& state, std::span<const Range> ranges) {
  Range heap;
  if (const long read = read_pieces(state, ranges, heap); read != 0) return read;
  for (const Seal& piece : state.pieces) {
    if (!state.ledger.add(piece)) {
      static bool said = false;
      complain_once(said, "no room for more seals",
                    "seal larger ranges, or fewer; what is sealed stays sealed");
      return -ENOMEM;
    }
  }
  for (const Seal& piece : state.keyed) (void)state.keyed_seals.add(piece);
  return 0;
}

long seal_by_kernel(State& state, std::span<const Range> ranges) {
  // mseal(2) takes one range: what is wrong with any of them is found before the first is sealed for good.
  Range heap;
  if (ranges.size() > 1) {
    if (const long read = read_pieces(state, ranges, heap); read != 0) return read;
  }
  for (const Range& range : ranges) {
    const long result = raw_syscall(policy::kMsealNumber, range.start, range.size(), 0);
    if (result != 0) return result;
    (void)state.ledger.add({range, true, 0});
  }
  return 0;
}

// The program for these pieces into state.program; false if it is too long.
bool compile_pieces(State& state, std::span<const Seal> pieces, const Range& heap) {
  list_ranges(state, pieces);
  policy::RangeProgram what;
  what.ranges = state.ranges.view();
  what.contents = state.contents.view();
  what.refused_breaks = policy::refused_breaks(pieces, heap, state.machine.page_size);
  what.hit = SECCOMP_RET_ERRNO | EPERM;
  if (state.table != nullptr)
    what.rare = SECCOMP_RET_ALLOW;  // the first filter brings them to the supervisor
  state.program.clear();
  const auto allow = state.program.ret(SECCOMP_RET_ALLOW);
  return policy::compile(state.machine, what, allow, state.program);
}

// In as few filters as take them.
long install_in_parts(State& state, std::span<const Seal> pieces, const Range& heap) {
  if (compile_pieces(state, pieces, heap)) return install_filter(state.program.instructions(), false);
  if (pieces.size() == 1) return -ENOMEM;
  const std::size_t half = pieces.size() / 2;
  if (const long error = install_in_parts(state, pieces.first(half), heap); error != 0) return error;
  return install_in_parts(state, pieces.subspan(half), heap);
}

// Whether the kernel has room for all of them: a filter can't be taken back, so a child tries first.
long rehearse(State& state, const Range& heap) {
  const long child =
      raw_syscall(__NR_clone, 0, 0, 0, 0, 0);  // neither SIGCHLD nor an ordinary wait() tells of it
  if (failed(child)) return child;
  if (child == 0) {
    const long error = install_in_parts(state, state.pieces.view(), heap);
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
    state.pieces.clear();
    Launch launch;
    start_backend(state, ranges.size() == 1 ? ranges.front() : Range{}, launch);
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
    if (piece.keeps_contents) append(state.contents, piece.range);
  }
}

long install_deny_filter(State& state, const Range& heap) {
  if (!compile_pieces(state, state.pieces.view(), heap)) {
    if (const long error = rehearse(state, heap); error != 0) return error;
  }
  return install_in_parts(state, state.pieces.view(), heap);
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
    if (!policy::add_seal(joined, {range, false, 0}, Pieces::capacity())) return -ENOMEM;
  }
  for (const Seal& one : joined) (void)wanted.push_back(one.range);
  return wanted.empty() ? 0 : seal_checked(state, wanted.view());
}

}  // namespace libmseal::shim
