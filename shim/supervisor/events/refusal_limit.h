// Limits the number of recorded refusals in enforce mode: a program that tries in a loop must not fill the
// disk or keep the supervisor busy with inspecting processes.
#pragma once

#include <cstdint>

#include "shim/common/clock.h"
#include "shim/common/no_copy.h"
#include "shim/supervisor/events/rate_limit.h"
#include "shim/supervisor/registry/inspection_budget.h"

namespace libmseal::supervisor {

class RefusalLimit {
 public:
  // Whether one more is to be recorded.
  [[nodiscard]] bool admits() noexcept { return budget_.allows(shim::monotonic_ns()) && rate_.admits(); }

  // Measures the time spent on inspecting a process for a refusal.
  class Inspection : shim::NoCopy {
   public:
    explicit Inspection(RefusalLimit& limit) : limit_(limit) {}
    ~Inspection() { limit_.budget_.spend(shim::monotonic_ns() - start_); }

   private:
    RefusalLimit& limit_;
    std::uint64_t start_ = shim::monotonic_ns();
  };

 private:
  RateLimit rate_{50};
  InspectionBudget budget_;
};

}  // namespace libmseal::supervisor
