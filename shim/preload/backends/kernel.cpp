// The backend `kernel`: mseal(2) itself.
#include <algorithm>
#include <cerrno>

#include "shim/common/kernel_mseal.h"
#include "shim/common/maps_reader.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_mappings.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/process/own_proc.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

using policy::Range;

constinit bool g_each_alone = false;

long call_mseal(const Range& range) {
  return raw_syscall(policy::kMsealNumber, range.start, range.size(), 0);
}

Range without_tags(const State& state, const Range& range) {
  return Range::of(range.start & state.machine.address_mask, range.size());
}

// 0 or -errno. The first call finds what is wrong with the range; then it has sealed nothing.
long seal_range(const State& state, const Range& range) {
  const bool each_alone = g_each_alone && range.size() > state.machine.page_size;
  if (each_alone && program_filters_kill(Purpose::reading)) return explain(Why::program_filter_kills);
  const long result = call_mseal(range);
  if (result != 0 || !each_alone) return result;
  const Range plain = without_tags(state, range);
  long wrong = 0;
  const long read = read_maps(open_own("maps"), [&](const policy::Vma& vma) {
    const Range part = policy::intersection(vma.range, plain);
    if (!part.empty()) wrong = call_mseal(part);
    return wrong == 0 && vma.range.end < plain.end;
  });
  return read != 0 ? explain(Why::unreadable, read) : wrong;
}

Reason start(State& state, const StartArguments& arguments, Job& job) {
  (void)job;
  if (arguments.kernel == KernelMseal::refused) return {"a seccomp profile refuses mseal(2) (EPERM)", 0};
  if (arguments.kernel == KernelMseal::not_asked)
    return {"a seccomp filter of this process or of its ancestors answers mseal(2), or kills its callers", 0};
  if (arguments.kernel == KernelMseal::missing) return {"no mseal(2) in this kernel", 0};
  if (state.options.asks_for_strict_discard()) return {"mseal(2) does not follow discard=strict", 0};
  g_each_alone = mseal_may_miss_mappings();
  for (const policy::Seal& object : arguments.objects.pieces) {
    // Nothing is sealed yet, so no mapping merges with a sealed one.
    const long sealed = call_mseal(object.range);
    if (sealed != 0) return {"mseal(2) refused a loaded object", sealed};
    (void)state.local_seals->add(object);
  }
  return {};
}

// Checks the ranges. In portions, because one call finds fewer pieces than there may be ranges.
long find_wrong(const State& state, std::span<const Range> ranges, Job& job) {
  constexpr std::size_t kPortion = kMostPieces / 4;
  long wrong = 0;
  while (wrong == 0 && !ranges.empty()) {
    const std::size_t count = std::min(ranges.size(), kPortion);
    wrong = find_own_pieces(state, ranges.first(count), job.types, job.found);
    ranges = ranges.subspan(count);
  }
  return wrong;
}

long seal(State& state, std::span<const Range> ranges, Job& job) {
  if (!job.types.has(policy::kWholeSeal)) return -EOPNOTSUPP;
  // mseal(2) seals one range: check all of them before the first is sealed.
  if (ranges.size() > 1) {
    if (const long wrong = find_wrong(state, ranges, job); wrong != 0) return wrong;
  }
  for (const Range& range : ranges) {
    const long result = seal_range(state, range);
    if (result != 0) return result;
    policy::Seal sealed{without_tags(state, range), true};
    sealed.types = job.types;
    (void)state.local_seals->add(sealed);
  }
  return 0;
}

}  // namespace

const BackendFunctions kKernelBackend{start, seal, query_local_seals, nullptr};

}  // namespace libmseal::shim
