#include "shim/preload/filters/deny_filter.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <cerrno>

#include "shim/common/child.h"
#include "shim/common/clock.h"
#include "shim/common/proc_root.h"
#include "shim/preload/filters/install.h"
#include "shim/preload/process/exec_layout.h"

namespace libmseal::shim {

using policy::Range;
using policy::Seal;

namespace {

// Writes the program for these pieces to draft.program; false if it is too long.
bool compile(const State& state, const DenyFilter& filter, Draft& draft) {
  list_ranges(filter.pieces, draft);
  const bool protection = std::any_of(filter.pieces.begin(), filter.pieces.end(),
                                      [](const Seal& piece) { return piece.has(policy::kProtectionType); });
  const policy::DeniedRanges denied{draft.ranges.view(), draft.contents.view(), filter.refused_breaks,
                                    protection};
  policy::RangeProgram what;
  if (filter.supervised) {
    what = filter_of_seals(denied);
  } else {
    policy::Unsupervised refused;
    if (!refuse_what_nobody_judges(filter.pieces, refused, draft)) return false;
    what = filter_of_seals_without_supervisor(denied, refused);
  }
  draft.program.clear();
  const auto allow = draft.program.ret(SECCOMP_RET_ALLOW);
  return policy::compile(state.machine, what, allow, draft.program);
}

constexpr std::uint32_t kNotKnown = ~0U;

// The number of this thread's filters.
std::uint32_t filters_in_force() {
  TaskStatus status;
  const ProcRoot proc;
  return read_status(proc, raw_syscall(__NR_gettid), status) == 0 ? status.filters : kNotKnown;
}

// The same once a filter is installed, which can't be removed: if the number can't be read for lack of a
// descriptor or of memory, it tries again.
std::uint32_t filters_in_force_at_last() {
  constexpr int kTries = 20;
  constexpr long kNap = 1'000'000;  // ns
  std::uint32_t filters = filters_in_force();
  for (int tries = 1; filters == kNotKnown && tries < kTries; ++tries) {
    nap(kNap);
    filters = filters_in_force();
  }
  return filters;
}

// Installs as few filters as possible.
long install_in_parts(const State& state, const DenyFilter& filter, Draft& draft) {
  if (compile(state, filter, draft)) return install_filter(draft.program.instructions(), false);
  if (filter.pieces.size() == 1) return -ENOMEM;
  const std::size_t half = filter.pieces.size() / 2;
  DenyFilter part = filter;
  part.pieces = filter.pieces.first(half);
  if (const long error = install_in_parts(state, part, draft); error != 0) return error;
  part.pieces = filter.pieces.subspan(half);
  return install_in_parts(state, part, draft);
}

// Whether the kernel has room for all of them: a filter can't be removed, so a child tries first.
long rehearse(const State& state, const DenyFilter& filter, Draft& draft) {
  const long status = run_in_child([&] { return install_in_parts(state, filter, draft) == 0 ? 0 : 1; });
  if (failed(status)) return status;
  return status == 0 ? 0 : -ENOMEM;
}

}  // namespace

void list_ranges(std::span<const Seal> pieces, Draft& draft) {
  const auto append = [](Ranges& ranges, const Range& range) {
    if (!ranges.empty() && ranges.back().end == range.start) {
      ranges.back().end = range.end;
    } else {
      (void)ranges.push_back(range);  // never more ranges than pieces
    }
  };
  draft.ranges.clear();
  draft.contents.clear();
  for (const Seal& piece : pieces) {
    append(draft.ranges, piece.range);
    if (piece.discard_protected) append(draft.contents, piece.range);
  }
}

bool refuse_what_nobody_judges(std::span<const Seal> pieces, policy::Unsupervised& refused, Draft& draft) {
  draft.attachments.clear();
  for (const Seal& piece : pieces) {
    refused.refuse_grows_down =
        refused.refuse_grows_down || (piece.may_grow_down && piece.has(policy::kProtectionType));
    const auto held = draft.attachments.view();
    const bool is_new = piece.attachment != Seal::kNotAttached &&
                        std::find(held.begin(), held.end(), piece.attachment) == held.end();
    if (is_new && !draft.attachments.push_back(piece.attachment)) return false;
  }
  refused.attachments = draft.attachments.view();
  return true;
}

void note_refused_breaks(State& state, const policy::Range& breaks) {
  if (breaks.end > state.refused_breaks.end) state.refused_breaks = breaks;  // all start where the heap does
}

long install_deny_filter(State& state, const DenyFilter& filter, Draft& draft) {
  if (!compile(state, filter, draft)) {
    if (const long error = rehearse(state, filter, draft); error != 0) return error;
  }
  // A filter of the program may answer seccomp(2) instead of the kernel. A supervisor counts the filters
  // itself.
  const bool counts = !filter.supervised;
  const std::uint32_t before = counts ? filters_in_force() : 0;
  if (before == kNotKnown) return -EIO;
  const long error = install_in_parts(state, filter, draft);
  if (error != 0) return error;
  const std::uint32_t after = counts ? filters_in_force_at_last() : 1;
  if (after == kNotKnown) return -EIO;
  if (after <= before) return -EPERM;
  note_refused_breaks(state, filter.refused_breaks);
  for (const Seal& piece : filter.pieces) {
    if (filter.supervised) note_filtered(state, piece.range);
  }
  return 0;
}

}  // namespace libmseal::shim
