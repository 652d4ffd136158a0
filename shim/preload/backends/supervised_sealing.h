// Sealing directed by the supervisor, which stops the threads and reads the program's mappings. The program
// itself only calls mseal, seccomp and brk.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/objects_work.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

struct SupervisorAnswer {
  bool must_read_mappings = false;  // the supervisor may not read the mappings: see own_sealing.h
  long result = 0;                  // otherwise 0 or -errno
};

// Seals all of the ranges or none, with job.types.
SupervisorAnswer seal_as_supervisor_says(State& state, std::span<const policy::Range> ranges, Job& job);

SupervisorAnswer seal_objects_as_supervisor_says(State& state, std::span<const ObjectPart> parts, Job& job);

// Sealing where the program reads its own mappings (own_sealing.h), under a supervisor.
long seal_by_itself_supervised(State& state, std::span<const policy::Range> ranges, Job& job);

// Notes what the filters of this process refuse, which the supervisor can't see.
void note_sealed_by_filters(State& state, std::span<const policy::Seal> pieces);
bool is_sealed_by_filters(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types);

// is_alone of backend.h.
long is_alone_supervised(const State& state);

}  // namespace libmseal::shim
