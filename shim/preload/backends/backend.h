// The interface of the four backends.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/kernel_mseal.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"
#include "shim/preload/supervisor/supervisor_link.h"

namespace libmseal::shim {

// The objects that are loaded when the program starts.
struct ObjectsAtStart {
  std::span<const policy::Seal> pieces;  // that are to be sealed; sorted, disjoint; may be empty
  policy::Range refused_breaks;          // the arguments of brk that would unmap one of them
  bool has_aio_ring = false;             // a ring of io_setup is mapped already
  bool has_io_uring = false;             // a ring of io_uring is
};

// The arguments of a backend's start.
struct StartArguments {
  ObjectsAtStart objects;
  KernelMseal kernel = KernelMseal::not_asked;
  SupervisorLaunch& launch;  // may hold a supervisor that is ready
};

// The caller holds the lock, except for `query`.
struct BackendFunctions {
  // Why it did not start; none if it did.
  Reason (*start)(State& state, const StartArguments& arguments, Job& job);
  // Seals the ranges (sorted, disjoint) with job.types; all of them or none: 0 or -errno.
  long (*seal)(State& state, std::span<const policy::Range> ranges, Job& job);
  policy::Sealed (*query)(const State& state, const policy::Range& range);
  // Whether another process shares this memory: 0 if not or if that does not matter, -EAGAIN if one does,
  // -EPERM if it is not known. Null without filters, which are the only seals that a sharer may lack.
  long (*is_alone)(const State& state);
};

extern const BackendFunctions kKernelBackend;      // mseal(2)
extern const BackendFunctions kSupervisedBackend;  // filters, and a supervisor for what they can't decide
extern const BackendFunctions kFilterBackend;      // filters alone
extern const BackendFunctions kLibcBackend;        // the interposed functions alone

// The functions of that backend; those of `libc` before one has been chosen.
const BackendFunctions& functions_of(policy::Backend backend);

// Joins the tree of an existing supervisor without sealing anything. False if there is none.
bool join_without_sealing(State& state, Job& job);

// `query` by the local seals.
policy::Sealed query_local_seals(const State& state, const policy::Range& range);

// Whether the local seals cover all of the ranges with these types.
bool local_seals_cover(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types);

// Whether a seal in the ranges accepts no more types and lacks some of these.
bool local_seals_refuse_types(const State& state, std::span<const policy::Range> ranges,
                              policy::SealTypes types);

}  // namespace libmseal::shim
