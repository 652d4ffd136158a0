#include "shim/preload/supervisor/orphans.h"

#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/table_size.h"
#include "shim/preload/state/own_filters.h"
#include "shim/preload/supervisor/supervisor_link.h"

namespace libmseal::shim {
namespace {

bool can_ask_for_parent() {
  return !own_filters_kill(Work::reading) && !own_filters_kill(Work::joining);
}

}  // namespace

void note_met(State& state) {
  if (can_ask_for_parent()) state.process = raw_syscall(__NR_getpid);
  if (state.process == 1) state.adopts = true;
}

void be_met(const State& state) {
  const bool has_filters = state.filtered_ranges.load(std::memory_order_relaxed) != 0;
  if (!has_filters || state.process == 0 || !can_ask_for_parent()) return;
  if (raw_syscall(__NR_getpid) == state.process) return;
  if (raw_syscall(__NR_getppid) == state.process && !state.adopts) return;
  // The supervisor looks at the sender only if the range touches a seal, as its table does.
  const auto table = policy::Range::of(reinterpret_cast<std::uint64_t>(state.table), kTableBytes);
  (void)send_message({policy::Control::Kind::query, {table}});
}

}  // namespace libmseal::shim
