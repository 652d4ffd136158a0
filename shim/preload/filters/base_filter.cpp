#include "shim/preload/filters/base_filter.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <cerrno>

#include "policy/bpf/blocked_calls.h"
#include "policy/bpf/range_program.h"
#include "shim/preload/arena.h"
#include "shim/preload/filters/deny_filter.h"

namespace libmseal::shim {
namespace {

using policy::Range;

// Where nothing of the list is.
bool insert(Ranges& ranges, const Range& range) {
  if (range.empty()) return true;
  if (ranges.full()) return false;
  const auto after = [&](const Range& one) { return one.start > range.start; };
  ranges.insert(std::find_if(ranges.begin(), ranges.end(), after), range);
  return true;
}

}  // namespace

bool write_base_filter(const State& state, const BaseFilter& filter, Draft& draft) {
  const policy::Options& options = state.options;
  draft.program.clear();
  const bool tells_of_starts = filter.supervised && options.require != policy::Backend::automatic;
  policy::write_blocked_calls(state.machine, options, tells_of_starts, draft.program);
  const auto after_blocked_calls = draft.program.front();
  const bool audits = filter.supervised && state.rules.audits;
  list_ranges(filter.denied, draft);
  if (!audits) {
    const bool fits = insert(draft.ranges, protected_window(filter.arena)) &&
                      insert(draft.contents, protected_window(filter.arena)) &&
                      insert(draft.ranges, other_window(filter.arena));
    if (!fits) return false;
  }
  policy::RangeProgram what;
  what.refuse_foreign = true;
  what.denied = {draft.ranges.view(), draft.contents.view()};
  what.denial = SECCOMP_RET_ERRNO | EPERM;
  if (!audits) what.refused_breaks = filter.refused_breaks;
  const auto blocked = [&](policy::BlockedCall call, std::uint32_t error) -> std::uint32_t {
    if ((options.open_calls & call) != 0) return 0;
    return audits ? static_cast<std::uint32_t>(SECCOMP_RET_USER_NOTIF) : SECCOMP_RET_ERRNO | error;
  };
  what.shm_remap = blocked(policy::kBlockedShmRemap, EPERM);
  what.old_mmap = blocked(policy::kBlockedOldMmap, ENOSYS);
  what.io_destroy = blocked(policy::kBlockedIoDestroy, EPERM);
  if (filter.supervised) {
    what.watched = {filter.watched, filter.watched};
    what.notice = SECCOMP_RET_USER_NOTIF;
    what.deferred = SECCOMP_RET_USER_NOTIF;
    what.mseal = SECCOMP_RET_USER_NOTIF;
  } else {
    refuse_what_nobody_judges(filter.denied, draft, what);
    what.refuse_huge_pages = (options.open_calls & policy::kBlockedHugetlbFiles) == 0;
    what.mseal = SECCOMP_RET_ERRNO | ENOSYS;
  }
  return policy::compile(state.machine, what, after_blocked_calls, draft.program);
}

}  // namespace libmseal::shim
