// The backend `supervised`: filters refuse what they can decide, and one supervisor for each process tree
// decides the rest.
#include <cerrno>

#include "policy/protocol/control.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/supervised_sealing.h"
#include "shim/preload/backends/tree.h"
#include "shim/preload/filters/install.h"
#include "shim/preload/memory/sealed_area.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/state/program_filters.h"
#include "shim/preload/supervisor/announce.h"

namespace libmseal::shim {
namespace {

using policy::Control;
using policy::Range;

// Filters of this tree are in force, so no second listener is possible. Explains why its supervisor does not
// serve.
Reason explain_no_answer(long answer) {
  switch (answer) {
    case -ENOSYS:
    case -EINVAL:
      return {"the supervisor of this process tree is gone, or there never was one", 0};
    case -EXDEV:
      return {"this process is traced by a supervisor that runs as another user or in other namespaces",
              answer};
    case -EMFILE:
      return {"the supervisor's table can't be given to this process", answer};
    case -ENFILE:
      return {
          "the supervisor of this process tree has no file descriptor left for another program: start "
          "the tree with a higher limit (ulimit -n)",
          answer};
    default:
      return {"the supervisor of this process tree can't serve this process", answer};
  }
}

// After an attempt to join or found a tree.
void note_outcome(State& state, bool started) {
  if (started) {
    state.options.audit = state.tree_options.audits;  // the tree's mode applies to each of its programs
    note_announced(state);
    return;
  }
  // Without a supervisor nothing writes the table.
  set_windows(state, {}, false);
  state.table = nullptr;
  state.joined = false;
  state.tree_options = {};
}

Reason start(State& state, const StartArguments& arguments, Job& job) {
  const long table = ask_to_join();
  const long probed = table >= 0 ? 0 : probe_listener();
  const Reason failure = [&]() -> Reason {
    if (table >= 0) return join_tree(state, table, arguments.objects, job);
    if (probed == -EBUSY || table == -EXDEV) return explain_no_answer(table);
    if (probed != 0 && !state.options.audit) return {"no seccomp listener", probed};
    return found_tree(state, arguments, job);
  }();
  note_outcome(state, failure.none());
  if (!failure.none()) arguments.launch.stop();  // descriptors may be few
  return failure;
}

long seal(State& state, std::span<const Range> ranges, Job& job) {
  if (is_sealed_by_filters(state, ranges, job.types)) return 0;
  const SupervisorAnswer asked = seal_as_supervisor_says(state, ranges, job);
  if (!asked.must_read_mappings) return asked.result;
  if (program_filters_bar_self_inspection()) return explain(Why::program_filter_kills);
  return seal_by_itself_supervised(state, ranges, job);
}

policy::Sealed query(const State& state, const Range& range) {
  // The supervisor knows the objects, but a process without the filters shares the memory, or may.
  if (state.may_be_shared) return {};
  const long answer = send_message({Control::Kind::query, {range}});
  return failed(answer) ? query_local_seals(state, range) : policy::decode_sealed(answer);
}

}  // namespace

const BackendFunctions kSupervisedBackend{start, seal, query, is_alone_supervised};

bool join_without_sealing(State& state, Job& job) {
  const long table = ask_to_join();
  if (table < 0) return false;
  const bool joined = join_tree(state, table, {}, job).none();
  note_outcome(state, joined);
  return joined;
}

}  // namespace libmseal::shim
