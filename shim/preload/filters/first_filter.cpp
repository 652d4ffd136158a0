#include "shim/preload/filters/first_filter.h"

#include <linux/seccomp.h>

#include <cerrno>
#include <optional>

#include "policy/bpf/blocked_calls.h"
#include "policy/bpf/range_program.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/filters/deny_filter.h"
#include "shim/preload/filters/install.h"
#include "shim/preload/memory/sealed_area.h"

namespace libmseal::shim {

using policy::insert_range;
using policy::Range;

bool write_first_filter(const State& state, const FirstFilter& filter, Draft& draft) {
  const policy::Options& options = state.options;
  draft.program.clear();
  const bool lineage_shows = !options.audit && (options.open_calls & policy::kBlockedClone3) == 0;
  const policy::NotifiedCalls notified{filter.supervised && lineage_shows,
                                       filter.supervised && options.require != policy::Backend::automatic};
  policy::write_blocked_calls(state.machine, options, notified, draft.program);
  const auto after_blocked_calls = draft.program.front();
  const bool audits = filter.supervised && state.tree_options.audits;
  list_ranges(filter.denied, draft);
  if (!audits) {
    const Range protected_contents = range_of(Window::protected_contents, filter.sealed_area);
    const bool fits = insert_range(draft.ranges, protected_contents) &&
                      insert_range(draft.contents, protected_contents) &&
                      insert_range(draft.ranges, range_of(Window::other_contents, filter.sealed_area));
    if (!fits) return false;
  }
  policy::DeniedRanges denied{draft.ranges.view(), draft.contents.view()};
  if (!audits) denied.breaks = filter.refused_breaks;
  const auto answer = [&](policy::BlockedCall call, std::uint32_t otherwise) -> std::optional<std::uint32_t> {
    if ((options.open_calls & call) != 0) return std::nullopt;
    return audits ? policy::kActionNotify : otherwise;
  };
  // A supervisor can allow some of these calls (aio_rings.h).
  const auto about_rings = [&](std::uint32_t error) {
    return filter.supervised ? policy::kActionNotify : SECCOMP_RET_ERRNO | error;
  };
  const policy::UnjudgeableCalls unjudgeable{answer(policy::kBlockedShmRemap, SECCOMP_RET_ERRNO | EPERM),
                                             answer(policy::kBlockedOldMmap, SECCOMP_RET_ERRNO | ENOSYS),
                                             answer(policy::kBlockedIoDestroy, about_rings(ENOSYS)),
                                             answer(policy::kBlockedIoDestroy, about_rings(EPERM)),
                                             audits ? std::nullopt : std::optional(policy::kActionRefuse)};
  policy::RangeProgram what;
  if (filter.supervised) {
    what = first_filter(denied, filter.watched, unjudgeable);
  } else {
    policy::Unsupervised refused;
    if (!refuse_what_nobody_judges(filter.denied, refused, draft)) return false;
    refused.refuse_huge_pages = (options.open_calls & policy::kBlockedHugetlbFiles) == 0;
    what = first_filter_without_supervisor(denied, refused, unjudgeable);
  }
  return policy::compile(state.machine, what, after_blocked_calls, draft.program);
}

bool has_first_filter(const State& state) {
  // A sharer is younger than the filter, and has it. An audit refuses nothing, so it can't be tested.
  const bool has_older_sharers = state.started_late || state.objects_are_unsealed;
  if (!has_older_sharers || state.tree_options.audits) return true;
  if (!has_window(state, Window::protected_contents)) return probe_listener() == -EBUSY;
  // The last page of the window is not in use yet; the first filter refuses to unmap it.
  // Another filter might refuse every munmap; the kernel answers EINVAL for no bytes.
  const std::uint64_t last = state.windows.ranges.front().end - state.machine.page_size;
  return raw_syscall(__NR_munmap, last, state.machine.page_size) == -EPERM &&
         raw_syscall(__NR_munmap, last - state.windows.ranges.front().size(), 0) == -EINVAL;
}

}  // namespace libmseal::shim
