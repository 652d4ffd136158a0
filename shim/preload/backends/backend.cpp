#include "shim/preload/backends/backend.h"

#include <algorithm>

namespace libmseal::shim {

using policy::Backend;

const BackendFunctions& functions_of(Backend backend) {
  switch (backend) {
    case Backend::kernel:
      return kKernelBackend;
    case Backend::supervised:
      return kSupervisedBackend;
    case Backend::filters:
      return kFilterBackend;
    case Backend::libc:
    case Backend::automatic:
      break;
  }
  return kLibcBackend;
}

policy::Sealed query_local_seals(const State& state, const policy::Range& range) {
  return state.local_seals->consult(
      [&](std::span<const policy::Seal> seals) { return policy::how_sealed(seals, range); });
}

bool local_seals_cover(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types) {
  return std::all_of(ranges.begin(), ranges.end(), [&](const policy::Range& range) {
    return query_local_seals(state, range).types.has(types);
  });
}

bool local_seals_refuse_types(const State& state, std::span<const policy::Range> ranges,
                              policy::SealTypes types) {
  return state.local_seals->consult([&](std::span<const policy::Seal> seals) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const policy::Range& range) {
      return policy::refuses_types(seals, range, types);
    });
  });
}

}  // namespace libmseal::shim
