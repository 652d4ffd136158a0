// Sealing if no supervisor may inspect the memory: the program reads its own /proc, and waits for calls in
// flight in its other threads.
#pragma once

#include <cerrno>
#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/clock.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// The operations that depend on the backend.
struct SealOperations {
  // How to seal the ranges (sorted, disjoint) with these pieces in them: a policy::NextStep, or -errno.
  // EACCES: a piece accepts no more types.
  long (*choose_step)(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                      std::span<const policy::Seal> pieces);
  // Notes that filters refuse changes of these pieces from now on: 0 or -errno.
  long (*keep)(State& state, std::span<const policy::Seal> pieces);
  // Tells the supervisor, if there is one, to refuse changes of the piece. False if it does not.
  bool (*cover)(const policy::Seal& piece) = nullptr;
};

// Seals the ranges (sorted, disjoint) with job.types: 0 or -errno.
long seal_by_itself(State& state, std::span<const policy::Range> ranges, const SealOperations& operations,
                    Job& job);

// Calls ask() until nobody shares the memory, for at most a second: a vfork child is usually gone in a
// moment, but another sharer may stay. Returns the last answer.
template <class Ask>
long ask_until_alone(Ask ask) {
  constexpr long kNap = 1'000'000;  // ns
  constexpr int kFewest = 20;       // tries, however slow the machine is
  const Deadline deadline(1000);
  long answer = ask();
  for (int tries = 1; answer == -EAGAIN && (tries < kFewest || !deadline.passed()); ++tries) {
    nap(kNap);
    answer = ask();
  }
  return answer;
}

// The same for the backend's is_alone: 0, or -errno after a message.
long wait_until_alone(const State& state);

}  // namespace libmseal::shim
