// The seals that this process keeps itself: all of them, or, where a supervisor knows the others, only those
// that filters enforce.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "policy/rules/fixed_vector.h"
#include "policy/rules/protection_key.h"
#include "policy/rules/seal.h"
#include "shim/common/table_size.h"

namespace libmseal::shim {

// One writer at a time (the caller holds the lock, with signals blocked). Readers may run at any time, even
// in signal handlers. Of two copies one is always complete (as in the kernel's seqcount_latch_t). So a child
// that is forked while another thread writes does not wait for that thread, which it does not have.
template <class Entry, std::size_t kMost>
class LatchedList {
 public:
  // False if it is full; nothing is added then.
  bool add(const Entry& entry) { return add({&entry, 1}); }
  bool add(std::span<const Entry> entries) {
    const std::uint32_t now = generation_.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);  // readers of the other copy see `now`
    Entries& next = copies_[(now + 1) % 2];
    next = copies_[now % 2];
    for (const Entry& entry : entries) {
      if (!add_to(next, entry)) return false;
    }
    generation_.store(now + 1, std::memory_order_release);
    return true;
  }

  void clear() {
    const std::uint32_t now = generation_.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    copies_[(now + 1) % 2].clear();
    generation_.store(now + 1, std::memory_order_release);
  }

  // Returns ask(entries); calls it again if the entries changed meanwhile.
  template <class Ask>
  auto consult(Ask ask) const {
    while (true) {
      const std::uint32_t before = generation_.load(std::memory_order_acquire);
      const auto answer = ask(std::span<const Entry>(copies_[before % 2].view()));
      std::atomic_thread_fence(std::memory_order_acquire);
      if (generation_.load(std::memory_order_relaxed) == before) return answer;
    }
  }

 private:
  using Entries = policy::FixedVector<Entry, kMost>;

  static bool add_to(Entries& entries, const policy::Seal& seal) {
    return policy::add_seal(entries, seal, kMost);
  }
  static bool add_to(Entries& entries, const policy::KeyedRange& keyed) {
    return policy::add_keyed(entries, keyed);
  }

  std::atomic<std::uint32_t> generation_ = 0;  // odd: the second copy is current
  std::array<Entries, 2> copies_;
};

using LocalSeals = LatchedList<policy::Seal, 8192>;
using LocalKeys = LatchedList<policy::KeyedRange, kMostKeyed>;

}  // namespace libmseal::shim
