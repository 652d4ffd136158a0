// What this process has sealed, kept by itself: for what no supervisor keeps.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "policy/fixed_vector.h"
#include "policy/protection_key.h"
#include "policy/seal.h"

namespace libmseal::shim {

// One writer at a time (the caller's lock, signals blocked); readers may run at any time, signal handlers
// included.
template <class Entry>
class Ledger {
 public:
  // False if it is full; nothing is added then.
  bool add(const Entry& entry) {
    generation_.fetch_add(1, std::memory_order_acq_rel);
    const bool added = add_to(entries_, entry);
    generation_.fetch_add(1, std::memory_order_release);
    return added;
  }

  // ask(entries), asked again if one was added meanwhile.
  template <class Ask>
  auto consult(Ask ask) const {
    while (true) {
      const std::uint32_t before = generation_.load(std::memory_order_acquire);
      if (before % 2 != 0) continue;
      const auto answer = ask(std::span<const Entry>(entries_.view()));
      std::atomic_thread_fence(std::memory_order_acquire);
      if (generation_.load(std::memory_order_relaxed) == before) return answer;
    }
  }

 private:
  static constexpr std::size_t kMost = 8192;
  using Entries = policy::FixedVector<Entry, kMost>;

  static bool add_to(Entries& entries, const policy::Seal& seal) {
    return policy::add_seal(entries, seal, kMost);
  }
  static bool add_to(Entries& entries, const policy::KeyedRange& keyed) {
    return policy::add_keyed(entries, keyed);
  }

  std::atomic<std::uint32_t> generation_ = 0;
  Entries entries_;
};

}  // namespace libmseal::shim
