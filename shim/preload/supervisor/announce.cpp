#include "shim/preload/supervisor/announce.h"

#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/table_size.h"
#include "shim/preload/process/parent.h"
#include "shim/preload/state/program_filters.h"
#include "shim/preload/supervisor/supervisor_link.h"

namespace libmseal::shim {
namespace {

bool can_ask_for_parent() {
  return !program_filters_kill(Purpose::reading) && !program_filters_kill(Purpose::joining);
}

}  // namespace

void note_announced(State& state) {
  if (can_ask_for_parent()) state.announced_process = raw_syscall(__NR_getpid);
  if (state.announced_process == 1 || is_subreaper()) state.may_adopt = true;  // execve keeps that
}

void announce_process(const State& state) {
  const bool has_filters = state.filtered_ranges.load(std::memory_order_relaxed) != 0;
  if (!has_filters || state.announced_process == 0 || !can_ask_for_parent()) return;
  if (raw_syscall(__NR_getpid) == state.announced_process) return;
  if (raw_syscall(__NR_getppid) == state.announced_process && !state.may_adopt) return;
  // The supervisor looks at the sender only if the range touches a seal, as its table does.
  const auto table = policy::Range::of(reinterpret_cast<std::uint64_t>(state.table), kTableBytes);
  (void)send_message({policy::Control::Kind::query, {table}});
}

}  // namespace libmseal::shim
