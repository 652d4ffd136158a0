// The library's requests if the process reads its mappings itself and reports what it seals. For the answers
// see control.h.
#pragma once

#include <span>

#include "policy/protocol/control.h"
#include "shim/supervisor/sealing/sealer.h"

namespace libmseal::supervisor {

class ReportedRequests {
 public:
  ReportedRequests(Proc& proc, Registry& registry, const Sealer& sealer)
      : proc_(proc), registry_(registry), sealer_(sealer) {}

  std::int64_t prepare(const Caller& caller, const policy::Control& message);
  std::int64_t is_alone(const Caller& caller);
  std::int64_t add(const Caller& caller, const policy::Control& message);

 private:
  shim::Sharing sharing_at_start(const Caller& caller);
  bool may_supervise(const Caller& caller, std::span<const policy::Range> ranges);

  Proc& proc_;
  Registry& registry_;
  const Sealer& sealer_;
};

}  // namespace libmseal::supervisor
