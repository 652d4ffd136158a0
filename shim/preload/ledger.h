// The seals of this process, kept by itself: for the backends that have no supervisor to keep them.
#pragma once

#include <atomic>
#include <cstdint>

#include "policy/fixed_vector.h"
#include "policy/seal.h"

namespace libmseal::shim {

// One writer at a time (the caller's lock, signals blocked); readers may run at any time, signal handlers
// included.
class Ledger {
 public:
  // False if it is full; nothing is added then.
  bool add(const policy::Seal& seal) {
    generation_.fetch_add(1, std::memory_order_acq_rel);
    const bool added = policy::add_seal(seals_, seal, decltype(seals_)::capacity());
    generation_.fetch_add(1, std::memory_order_release);
    return added;
  }

  // ask(seals), asked again if a seal was added meanwhile.
  template <class Ask>
  auto consult(Ask ask) const {
    while (true) {
      const std::uint32_t before = generation_.load(std::memory_order_acquire);
      if (before % 2 != 0) continue;
      const auto answer = ask(seals_.view());
      std::atomic_thread_fence(std::memory_order_acquire);
      if (generation_.load(std::memory_order_relaxed) == before) return answer;
    }
  }

 private:
  std::atomic<std::uint32_t> generation_ = 0;
  policy::FixedVector<policy::Seal, 8192> seals_;
};

}  // namespace libmseal::shim
