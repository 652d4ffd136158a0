#include "shim/preload/backends/backend.h"

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

policy::Coverage query_ledger(const State& state, const policy::Range& range) {
  return state.ledger.consult(
      [&](std::span<const policy::Seal> seals) { return policy::coverage(seals, range); });
}

}  // namespace libmseal::shim
