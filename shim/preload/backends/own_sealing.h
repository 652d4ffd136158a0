// Sealing where no supervisor may look at the memory. The program looks at its own /proc, and waits for calls
// of its other threads that began before the seal.
#pragma once

#include <cerrno>
#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/clock.h"
#include "shim/preload/job.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// What the backend knows of this process, or its supervisor.
struct Keeper {
  // How to seal the ranges (sorted, apart), in which these pieces are mapped: a policy::Way, or -errno.
  // EACCES: one takes no more types.
  long (*choose_way)(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                     std::span<const policy::Seal> pieces);
  // Whether another process has this memory: 0, or -EAGAIN.
  long (*is_alone)(const State& state);
  // Filters refuse what touches these pieces from now on: 0 or -errno.
  long (*keep)(State& state, std::span<const policy::Seal> pieces);
  // Of a supervisor: it refuses from now on what touches the piece. False if it does not.
  bool (*cover)(const policy::Seal& piece) = nullptr;
};

// Ranges sorted and apart, by seals of job.types: 0 or -errno.
long seal_by_own_look(State& state, std::span<const policy::Range> ranges, const Keeper& keeper, Job& job);

// Asks until nobody shares the memory, for a second at most: a child made by vfork is gone in a moment, but
// one made by clone may stay. Returns the last answer.
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

// The same of a backend's is_alone: 0 or -errno, explained.
long wait_until_alone(const State& state, long (*is_alone)(const State&));

}  // namespace libmseal::shim
