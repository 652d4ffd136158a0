#include "shim/preload/backends/own_sealing.h"

#include <sys/prctl.h>

#include <algorithm>

#include "policy/protocol/control.h"
#include "shim/common/fork_sample.h"
#include "shim/common/pieces.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_mappings.h"
#include "shim/preload/filters/deny_filter.h"
#include "shim/preload/filters/first_filter.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/process/in_flight_calls.h"
#include "shim/preload/process/own_sharers.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

using policy::NextStep;
using policy::Range;

// How often to try if a range changes its attributes while it is being sealed.
constexpr int kAttempts = 3;

// Lets the supervisor refuse changes of the pieces. False if it does not.
bool cover_by_supervisor(const State& state, const SealOperations& operations, const FoundMappings& found) {
  // The supervisor is not notified of brk: only a filter can refuse it, and in an audit nothing does.
  if (!found.refused_breaks.empty() && !state.tree_options.audits) return false;
  return std::all_of(found.pieces.begin(), found.pieces.end(), operations.cover);
}

// Whether this process may not inspect or stop its threads, unless it has CAP_SYS_PTRACE.
bool is_hidden() {
  return !program_filters_kill(Purpose::hardening) && raw_syscall(__NR_prctl, PR_GET_DUMPABLE) != 1;
}

// Waits until no thread is in a call that began before now: 0 or -errno.
long wait_for_threads(const State& state) {
  if (wait_for_in_flight_calls(state.machine, policy::Begun::under_filters) == 0) return 0;
  return explain(is_hidden() ? Why::hidden_threads : Why::thread);
}

// Waits until no thread is in a call that began before the pieces were covered, and no process shares the
// memory without their filter: 0 or -errno.
long wait_for_others(State& state) {
  // First for a vfork child, because its parent is stuck in vfork; then for a process that was not visible
  // before.
  if (const long alone = wait_until_alone(state); alone != 0) return alone;
  const ProcRoot proc;
  const ForkSample forks = sample_forks(proc);
  if (const long error = wait_for_threads(state); error != 0) return error;
  if (const long alone = wait_until_alone(state); alone != 0) return alone;
  note_alone(state, forks);
  return 0;
}

}  // namespace

long wait_until_alone(const State& state) {
  const long answer = ask_until_alone([&] { return functions_of(state.backend).is_alone(state); });
  return answer == 0 ? 0 : explain_sharing(answer);
}

long seal_by_itself(State& state, std::span<const Range> ranges, const SealOperations& operations, Job& job) {
  if (!has_first_filter(state)) return explain(Why::not_ours);
  FoundMappings& found = job.found;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const long read = find_own_pieces(state, ranges, job.types, found);
    if (read != 0 && read != -EINVAL) return read;
    const long step = operations.choose_step(state, ranges, job.types, found.pieces.view());
    if (step < 0) return step;
    const bool refuses_breaks =
        found.refused_breaks.empty() || state.refused_breaks.contains(found.refused_breaks);
    if (attempt == 0 && step == static_cast<long>(NextStep::sealed) && refuses_breaks) return 0;
    if (read != 0) return read;  // a part of a huge page, which is not sealed as a whole
    // What is covered stays covered. So if the threads may be hidden, first find out whether they are.
    if (const long error = is_hidden() ? wait_for_threads(state) : 0; error != 0) return error;
    job.covered = found.pieces;
    const Range breaks = found.refused_breaks;
    const bool by_supervisor =
        step == static_cast<long>(NextStep::supervised) && cover_by_supervisor(state, operations, found);
    if (!by_supervisor) {
      const DenyFilter filter{job.covered.view(), breaks, operations.cover != nullptr};
      if (const long error = install_deny_filter(state, filter, job.draft); error != 0)
        return explain_filter_failure(error);
    }
    if (const long error = wait_for_others(state); error != 0) return error;
    if (const long again = find_own_pieces_again(state, ranges, job.types, found); again != 0) return again;
    if (!still_covers(job.covered.view(), breaks, found.pieces.view(), found.refused_breaks)) continue;
    if (!by_supervisor) {
      if (const long error = operations.keep(state, job.covered.view()); error != 0) return error;
    }
    for (const policy::KeyedRange& piece : found.keyed) (void)state.keyed_seals->add(piece);
    return 0;
  }
  return -EAGAIN;
}

}  // namespace libmseal::shim
