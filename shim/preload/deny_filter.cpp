#include "shim/preload/deny_filter.h"

#include <linux/seccomp.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "shim/common/raw_syscall.h"
#include "shim/preload/filter.h"
#include "shim/preload/starts.h"

namespace libmseal::shim {

using policy::Range;
using policy::Seal;

namespace {

// The program for these pieces into state.program; false if it is too long.
bool compile_pieces(State& state, std::span<const Seal> pieces) {
  list_ranges(state, pieces);
  const policy::DeniedRanges denied{state.ranges.view(), state.contents.view(), state.refused_breaks};
  const policy::RangeProgram what =
      state.table != nullptr
          ? filter_of_seals(denied)
          : filter_of_seals_without_supervisor(denied, refuse_what_nobody_judges(state, pieces));
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
    if (piece.discard_protected) append(state.contents, piece.range);
  }
}

policy::Unsupervised refuse_what_nobody_judges(State& state, std::span<const Seal> pieces) {
  policy::Unsupervised refused;
  state.attachments.clear();
  for (const Seal& piece : pieces) {
    refused.refuse_grows_down = refused.refuse_grows_down || piece.may_grow_down;
    const auto held = state.attachments.view();
    const bool listed = std::find(held.begin(), held.end(), piece.attachment) != held.end();
    // What finds no room is not lost: its pages are refused to everything but shmdt.
    if (piece.attachment != 0 && !listed) (void)state.attachments.push_back(piece.attachment);
  }
  refused.attachments = state.attachments.view();
  return refused;
}

long install_deny_filter(State& state) {
  if (!compile_pieces(state, state.pieces.view())) {
    if (const long error = rehearse(state); error != 0) return error;
  }
  const long error = install_in_parts(state, state.pieces.view());
  for (const Seal& piece : state.pieces) {
    if (error == 0) note_filtered(state, piece.range);
  }
  return error;
}

}  // namespace libmseal::shim
