// The backend `filters`: filters refuse calls that touch a seal, and calls that they can't decide from the
// arguments. For processes that can't have a listener.
#include <cerrno>

#include "shim/common/pieces.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_sealing.h"
#include "shim/preload/backends/ran_before.h"
#include "shim/preload/filters/deny_filter.h"
#include "shim/preload/filters/first_filter.h"
#include "shim/preload/filters/install.h"
#include "shim/preload/memory/load_ranges.h"
#include "shim/preload/memory/sealed_area.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/process/own_sharers.h"
#include "shim/preload/process/printed_notices.h"

namespace libmseal::shim {
namespace {

using policy::NextStep;
using policy::Range;
using policy::Seal;

// Filters survive execve, and would keep a program at the same fixed address from starting. Nobody has asked
// for that if this backend is only a substitute: such objects are left unsealed.
void leave_fixed_objects(State& state, ObjectsAtStart& objects, Pieces& others) {
  if (state.options.backend == policy::Backend::filters) return;
  if (state.options.require != policy::Backend::automatic) return;
  others.clear();
  for (const Seal& piece : objects.pieces) {
    const bool fixed = policy::any_touches(load_ranges_without_aslr(), piece.range);
    if (!fixed) (void)others.push_back(piece);  // never more than there were
  }
  state.leaves_fixed_objects = others.size() != objects.pieces.size();
  objects.pieces = others.view();
}

Reason start(State& state, const StartArguments& arguments, Job& job) {
  auto [objects, threads] = look_at_what_ran_before(state, arguments.objects);
  leave_fixed_objects(state, objects, job.found.pieces);
  find_out_about_kcmp();  // not tried yet if this process started in a tree
  look_for_notices();
  const Range sealed_area = choose_sealed_area();
  if (!write_first_filter(state, {objects.pieces, objects.refused_breaks, sealed_area}, job.draft))
    return {"too many ranges for one filter", -ENOMEM};
  if (const long error = install_filter(job.draft.program.instructions(), false); error != 0)
    return {"can't install a seccomp filter", error};
  note_refused_breaks(state, objects.refused_breaks);
  set_windows(state, sealed_area, false);
  (void)state.local_seals->add(policy::seals_of_sealed_area(sealed_area));
  state.has_older_threads = threads;
  if (threads) wait_for_older_threads(state, look_for_sharers);
  if (!state.objects_are_unsealed) (void)state.local_seals->add(objects.pieces);
  return {};
}

// Whether the existing seals are strict enough for these pieces. They may not be in the sealed area, where
// the first filter refuses changes of any mapping, or in a fork with other mappings than its parent
// (MADV_DONTFORK).
bool is_enough_for(const State& state, std::span<const Seal> pieces) {
  return state.local_seals->consult(
      [&](std::span<const Seal> seals) { return still_covers(seals, {}, pieces, {}); });
}

long choose_step(const State& state, std::span<const Range> ranges, policy::SealTypes types,
                 std::span<const Seal> pieces) {
  if (local_seals_refuse_types(state, ranges, types)) return -EACCES;
  // A process that shares the memory may lack even the first filter.
  if (const long error = state.may_be_shared ? wait_until_alone(state) : 0; error != 0) return error;
  if (local_seals_cover(state, ranges, types) && is_enough_for(state, pieces))
    return static_cast<long>(NextStep::sealed);
  if (const long error = wait_until_alone(state); error != 0) return error;
  return static_cast<long>(NextStep::filter);
}

long keep(State& state, std::span<const Seal> pieces) {
  (void)state.local_seals->add(pieces);
  return 0;
}

long seal(State& state, std::span<const Range> ranges, Job& job) {
  return seal_by_itself(state, ranges, {.choose_step = choose_step, .keep = keep}, job);
}

policy::Sealed query(const State& state, const Range& range) {
  return state.may_be_shared ? policy::Sealed{} : query_local_seals(state, range);
}

}  // namespace

const BackendFunctions kFilterBackend{start, seal, query, look_for_sharers};

}  // namespace libmseal::shim
