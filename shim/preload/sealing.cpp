#include "shim/preload/sealing.h"

#include <linux/seccomp.h>

#include <cerrno>

#include "policy/range_program.h"
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

bool keeps_contents(const State& state, const policy::Vma& vma) {
  if (vma.writable || vma.shared) return false;
  return state.options.discard == policy::DiscardRule::strict || vma.anonymous();
}

// What is mapped in `range`, as seals, into state.pieces. ENOMEM if any of it is not mapped, or it is in too
// many pieces. `heap` becomes [start_brk, break) if the range reaches into it, and stays empty if not.
long read_pieces(State& state, const Range& range, Range& heap) {
  state.pieces.clear();
  std::uint64_t next = range.start;
  bool fits = true;
  heap = {};
  const long read = read_maps("/proc/self/maps", [&](const policy::Vma& vma) {
    const bool of_heap = vma.name == "[heap]";  // in several pieces once its protection was changed in parts
    if (of_heap) heap = heap.empty() ? vma.range : Range{heap.start, vma.range.end};
    if (vma.range.end <= range.start) return true;
    if (vma.range.start > next || next >= range.end) return of_heap;
    next = vma.range.end;
    const Seal seal{policy::intersection(vma.range, range), keeps_contents(state, vma), 0};
    fits = fits && policy::add_seal(state.pieces, seal, Pieces::capacity());
    return next < range.end || of_heap;
  });
  if (!heap.touches(range)) heap = {};
  if (read != 0) return read;
  if (!fits) {
    Message() << "mseal: the range has too many mappings of different kinds; seal it in parts";
    return -ENOMEM;
  }
  if (next < range.end) return -ENOMEM;
  return find_keyed_pieces(state, range);
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

// How to seal the range, or -errno. Without an answer from a supervisor: by a filter.
long choose_way(const State& state, const Range& range) {
  const auto as_answer = [](policy::Way way) { return static_cast<long>(way); };
  if (state.backend == Backend::seccomp) {
    const long answer = tell_supervisor({Control::Kind::prepare, {range, false, 0}});
    if (answer == -EAGAIN) return explain_sharing(1);
    return answer >= 0 ? answer : as_answer(policy::Way::filter);
  }
  const bool sealed = state.ledger.consult([&](std::span<const Seal> seals) {
    return policy::coverage(seals, range, [](const Seal&) { return true; }) == policy::Coverage::fully;
  });
  return as_answer(sealed ? policy::Way::sealed : policy::Way::filter);
}

// state.pieces, covered: 0 or -errno. A sealed heap needs a filter, for the supervisor is not told of brk.
long cover(State& state, long way, const Range& heap) {
  const bool by_hull = way == static_cast<long>(policy::Way::hull) && heap.empty();
  if (by_hull && tell_all(state, Control::Kind::add_to_hull)) return 0;
  if (const long shared = memory_is_shared(); shared != 0) return explain_sharing(shared);
  const long installed = install_deny_filter(state, heap);
  if (installed != 0) return explain_filter_failure(installed);
  // If the supervisor is gone, calls with a hidden extent fail anyway: nothing is lost by its not knowing.
  if (state.backend == Backend::seccomp) (void)tell_all(state, Control::Kind::add_filtered);
  return 0;
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

long seal_enforced(State& state, const Range& range) {
  static Pieces covered;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Range heap;
    if (const long read = read_pieces(state, range, heap); read != 0) return read;
    const long way = choose_way(state, range);
    if (way < 0) return way;
    if (attempt == 0 && way == static_cast<long>(policy::Way::sealed)) return 0;
    covered = state.pieces;
    if (const long done = cover(state, way, heap); done != 0) return done;
    if (const long waited = wait_for_calls_under_way(state.machine); waited != 0)
      return explain_thread(waited);
    if (const long read = read_pieces(state, range, heap); read != 0) return read;
    if (!pieces_hold(covered, state.pieces)) continue;
    if (state.backend == Backend::filter) {
      for (const Seal& piece : covered) (void)state.ledger.add(piece);
    }
    for (const Seal& piece : state.keyed) (void)state.keyed_seals.add(piece);
    return 0;
  }
  return -EAGAIN;
}

long seal_in_ledger(State& state, const Range& range) {
  Range heap;
  if (const long read = read_pieces(state, range, heap); read != 0) return read;
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

long seal_by_kernel(State& state, const Range& range) {
  const long result = raw_syscall(policy::kMsealNumber, range.start, range.size(), 0);
  if (result == 0) (void)state.ledger.add({range, true, 0});
  return result;
}

}  // namespace

void list_ranges(State& state) {
  const auto append = [](Ranges& ranges, const Range& range) {
    if (!ranges.empty() && ranges.back().end == range.start) {
      ranges.back().end = range.end;
    } else {
      (void)ranges.push_back(range);  // never more ranges than pieces
    }
  };
  state.ranges.clear();
  state.contents.clear();
  for (const Seal& piece : state.pieces) {
    append(state.ranges, piece.range);
    if (piece.keeps_contents) append(state.contents, piece.range);
  }
}

long install_deny_filter(State& state, const Range& heap) {
  list_ranges(state);
  policy::RangeProgram what;
  what.ranges = state.ranges.view();
  what.contents = state.contents.view();
  what.refused_breaks = policy::refused_breaks(state.pieces.view(), heap, state.machine.page_size);
  what.hit = SECCOMP_RET_ERRNO | EPERM;
  if (state.table != nullptr)
    what.rare = SECCOMP_RET_ALLOW;  // the first filter brings them to the supervisor
  state.program.clear();
  const auto allow = state.program.ret(SECCOMP_RET_ALLOW);
  if (!policy::compile(state.machine, what, allow, state.program)) return -ENOMEM;
  return install_filter(state.program.instructions(), false);
}

long seal(State& state, std::uint64_t address, std::uint64_t length, std::uint64_t flags) {
  const std::uint64_t page = state.machine.page_size;
  const std::uint64_t start = address & state.machine.address_mask;
  const std::uint64_t rounded = policy::round_up(length, page);
  if (flags != 0 || start % page != 0 || (length != 0 && rounded == 0)) return -EINVAL;
  const Range range = Range::of(start, rounded);
  if (range.end < range.start) return -EINVAL;
  if (range.empty()) return 0;

  const ExclusiveSection section;
  if (state.backend == Backend::automatic) {
    state.pieces.clear();
    start_backend(state, range);
  }
  switch (state.backend) {
    case Backend::kernel:
      return seal_by_kernel(state, range);
    case Backend::seccomp:
    case Backend::filter:
      return seal_enforced(state, range);
    case Backend::libc:
    case Backend::automatic:
      break;
  }
  return seal_in_ledger(state, range);
}

}  // namespace libmseal::shim
