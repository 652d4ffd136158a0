// Sealing as the supervisor says, which looks at the program's memory while the threads are stopped. The
// program itself only calls mseal, seccomp and brk.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/job.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

struct Asked {
  bool must_look = false;  // the supervisor may not look: see own_sealing.h
  long result = 0;         // else 0 or -errno
};

// The ranges, all or none, by seals of job.types.
Asked seal_as_supervisor_says(State& state, std::span<const policy::Range> ranges, Job& job);

// A part of a loaded object, of which only what is private and can't be written is to be sealed.
struct ConstantPart {
  policy::Range range;
  bool with_data = false;  // and so is what can be written
};
Asked seal_constant_as_supervisor_says(State& state, std::span<const ConstantPart> parts, Job& job);

// Sealing by the program's own look (own_sealing.h), under a supervisor.
long seal_by_own_look_supervised(State& state, std::span<const policy::Range> ranges, Job& job);

// What the filters of this process refuse. The supervisor does not see that, so it is noted here.
void note_sealed_by_filters(State& state, std::span<const policy::Seal> pieces);
bool is_sealed_by_filters(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types);

// Whether another process has this memory: see backend.h.
long is_alone_supervised(const State& state);

// Asks the supervisor to refuse what touches the piece. False if it does not.
bool seal_by_supervisor(const policy::Seal& piece);

}  // namespace libmseal::shim
