// The backend `kernel`: mseal(2) itself.
#include <algorithm>
#include <cerrno>

#include "shim/common/raw_syscall.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_mappings.h"

namespace libmseal::shim {
namespace {

using policy::Range;

Outcome start(State& state, const StartArguments& arguments, Job& job) {
  (void)job;
  if (arguments.kernel == KernelMseal::refused) return {"a seccomp profile refuses mseal(2) (EPERM)", 0};
  if (arguments.kernel == KernelMseal::missing) return {"no mseal(2) in this kernel", 0};
  if (state.options.asks_for_strict_discard()) return {"mseal(2) does not keep discard=strict", 0};
  for (const policy::Seal& object : arguments.objects) {
    const long sealed = raw_syscall(policy::kMsealNumber, object.range.start, object.range.size(), 0);
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
    const long result = raw_syscall(policy::kMsealNumber, range.start, range.size(), 0);
    if (result != 0) return result;
    const std::uint64_t mask = state.machine.address_mask;
    policy::Seal sealed{Range::of(range.start & mask, range.size()), true};
    sealed.types = job.types;
    (void)state.local_seals->add(sealed);
  }
  return 0;
}

}  // namespace

const BackendFunctions kKernelBackend{start, seal, query_local_seals, sharers_do_not_matter};

}  // namespace libmseal::shim
