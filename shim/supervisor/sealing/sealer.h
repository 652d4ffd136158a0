// The steps of sealing.
//
// The mappings must not change between the moment when they are read and the moment when the seal is in
// force. So the threads of the process are stopped, the mappings are read, the supervisor or filters
// of the process begin to enforce the seal, and the mappings are read again.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "policy/rules/protection_key.h"
#include "policy/rules/seal.h"
#include "policy/rules/seal_request.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/registry.h"
#include "shim/supervisor/sealing/continued_calls.h"
#include "shim/supervisor/sealing/thread_holder.h"

namespace libmseal::supervisor {

// What a reading of the mappings has found.
struct Findings {
  std::vector<policy::Seal> pieces;
  std::vector<policy::KeyedRange> keyed;
  policy::Range refused_breaks;
  bool heap_is_unclear = false;  // a part of the ranges may have become part of the heap
};

// What is to be sealed, and what the last reading has found there.
struct SealJob {
  explicit SealJob(ThreadHolder& holder) : held(holder) {}

  std::vector<policy::Range> ranges;  // sorted, disjoint
  Findings found;
  std::uint64_t present_break = 0;  // 0: not known
  bool break_is_certain = false;    // it was reported while the threads were stopped
  policy::DiscardRule discard = policy::DiscardRule::strict;
  policy::SealTypes types = policy::kWholeSeal;
  HeldThreads held;
};

class Sealer {
 public:
  // `watched`: the ranges in which the first filter notifies of every call. `audits`: see tree_options.h.
  Sealer(Proc& proc, Registry& registry, ThreadHolder& holder, ContinuedCalls& calls,
         std::vector<policy::Range> watched, bool audits)
      : proc_(proc),
        registry_(registry),
        holder_(holder),
        calls_(calls),
        watched_(std::move(watched)),
        audits_(audits) {}

  static constexpr int kAttempts = 3;  // while a range changes its attributes

  [[nodiscard]] bool audits() const { return audits_; }
  [[nodiscard]] SealJob new_job() { return SealJob(holder_); }
  [[nodiscard]] bool is_watched(std::span<const policy::Range> ranges) const;
  // `heap`: see heap_of().
  [[nodiscard]] bool is_in_force(const Caller& caller, const SealEntry& entry,
                                 const policy::Range& heap) const;
  [[nodiscard]] bool is_sealed(const Caller& caller, const SealJob& job) const;

  // Reads the mappings in job.ranges: 0 or -errno as from shim::PieceSearch.
  long read_mappings(const Caller& caller, const SealJob& job, Findings& found) const;
  // Stops the threads of all processes with the caller's record, except the caller.
  ThreadHolder::Result hold(const Caller& caller, SealJob& job);
  // Waits until no call is in flight that was allowed before the seal.
  bool wait_for_calls(const Caller& caller, const SealJob& job);
  // Adds seals for what the last reading has found: 0 or -errno.
  long put_in_force(const Caller& caller, const SealJob& job, bool filtered);
  // The same for seals that the supervisor enforces, repeated until another reading finds nothing new.
  long cover(const Caller& caller, SealJob& job);

 private:
  Proc& proc_;
  Registry& registry_;
  ThreadHolder& holder_;
  ContinuedCalls& calls_;
  std::vector<policy::Range> watched_;
  bool audits_;
};

// What the heap may cover. Only the program knows its current break: 0 if it was not reported.
policy::Range heap_of(const Caller& caller, std::uint64_t present_break);

// Whether a seal in the ranges accepts no more types and lacks some of these.
bool refuses_types(const Caller& caller, std::span<const policy::Range> ranges, policy::SealTypes types);

}  // namespace libmseal::supervisor
