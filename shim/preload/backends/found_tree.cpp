// At the root of a tree.
#include <fcntl.h>
#include <linux/seccomp.h>

#include <cerrno>

#include "policy/bpf/range_program.h"
#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/backends/ran_before.h"
#include "shim/preload/backends/supervised_sealing.h"
#include "shim/preload/backends/tree.h"
#include "shim/preload/filters/first_filter.h"
#include "shim/preload/filters/install.h"
#include "shim/preload/memory/load_ranges.h"
#include "shim/preload/memory/sealed_area.h"

namespace libmseal::shim {
namespace {

using policy::Range;
using policy::Seal;

bool may_be_load_range(const Range& range) {
  return policy::any_touches(load_ranges_without_aslr(), range);
}

// The ranges in which the supervisor of a new tree is notified of every change, sorted.
using Watched = policy::FixedVector<Range, 16>;
Watched choose_watched(const State& state, const Range& sealed_area) {
  Watched watched;
  if (state.tree_options.covers_all) {
    (void)watched.push_back({0, ~0ULL});
    return watched;
  }
  for (const Range& one : watched_ranges()) (void)watched.push_back(one);
  (void)policy::insert_range(watched, range_of(Window::sealable, sealed_area));
  return watched;
}

// Moves the table of a new tree's first image, which was mapped before the sealed area existed.
void move_table(State& state) {
  if (!has_window(state, Window::protected_contents)) return;
  const long moved = move_to_window(state, Window::protected_contents, table_range(state));
  if (!failed(moved)) state.table = reinterpret_cast<const void*>(moved);
}

// Reports log and events files that could not be opened.
void report_files(const State& state, const policy::Serving& answer) {
  const auto tell = [&state](std::string_view key, std::string_view path, long error) {
    if (error == 0) return;
    Message() << key << path << " can't be written: " << ErrorText{error}
              << (state.options.audit
                      ? "; an audit needs a place for its events, so the program is not started"
                      : "");
    if (state.options.audit) end_program();
  };
  tell("events=", state.options.events, answer.events);
  tell("log=", state.options.log, answer.log);
}

// Installs the filter that is in job.draft, and hands over to the supervisor.
Reason hand_over(const State& state, const StartArguments& arguments, Job& job, std::size_t filtered,
                 const Watched& watched, const Range& sealed_area, const BeforeFilter& before) {
  const auto give = [&](long listener) {
    return arguments.launch.hand_over(static_cast<int>(listener), job.covered.view(), filtered,
                                      watched.view(), sealed_area, {state.texts->environment.data()}, before);
  };
  const long listener = install_filter(job.draft.program.instructions(), true);
  if (listener >= 0) {
    const policy::Serving answer = give(listener);
    (void)raw_syscall(__NR_close, listener);
    // The filter can't be removed and has no supervisor: notified calls fail with ENOSYS, which is safe.
    if (answer.result != 0) return {"the supervisor did not take over", answer.result};
    report_files(state, answer);
    return {};
  }
  if (!state.options.audit) return {"the filter could not be installed", listener};
  // An audit refuses nothing, so notifications by ptrace are enough. The tracer comes first: without one,
  // traced calls fail.
  const policy::Serving answer = give(-1);
  if (answer.result != 0) {
    return {"no seccomp listener is possible, and the supervisor is not allowed to trace the program",
            answer.result};
  }
  report_files(state, answer);
  job.draft.program.replace_action(policy::kActionNotify, SECCOMP_RET_TRACE);
  const long installed = install_filter(job.draft.program.instructions(), false);
  if (installed != 0) return {"the filter could not be installed", installed};
  Message() << "the audit traces the program by ptrace, because there can be no seccomp listener: "
            << ErrorText{listener};
  return {};
}

}  // namespace

Reason found_tree(State& state, const StartArguments& arguments, Job& job) {
  SupervisorLaunch& launch = arguments.launch;
  const auto [objects, threads] = look_at_what_ran_before(state, arguments.objects);
  const bool has_looked = !objects.pieces.empty() && !state.options.audit;
  const bool owns_memory = has_looked || has_own_memory();
  if (const long error = raw_syscall(__NR_faccessat, AT_FDCWD, "/proc/self/stat", R_OK); error != 0)
    return {"the supervisor needs /proc", error};
  if (const Reason failure = launch.start(state); !failure.none()) return failure;
  state.table = launch.keep_table();
  state.tree_options = policy::tree_options(state.options);
  const Range sealed_area = choose_sealed_area();
  set_windows(state, sealed_area, true);
  move_table(state);

  if (!add_table(state, objects.pieces, job.found.pieces)) return {"too many loaded objects", -ENOMEM};
  const auto is_left = [&](const Seal& piece) {
    return state.tree_options.audits || may_be_load_range(piece.range);
  };
  const std::size_t filtered = sort_by_decider(job.found.pieces, is_left, job.covered);
  const std::span<const Seal> seals = job.covered.view();
  const Watched watched = choose_watched(state, sealed_area);
  const FirstFilter filter{seals.first(filtered), objects.refused_breaks, sealed_area, true, watched.view()};
  if (!write_first_filter(state, filter, job.draft)) return {"too many ranges for one filter", -ENOMEM};

  const bool program_ran = objects.pieces.empty() || threads || objects.has_aio_ring;
  const Reason failure =
      hand_over(state, arguments, job, filtered, watched, sealed_area, {program_ran, owns_memory});
  if (!failure.none()) return failure;
  state.has_older_threads = threads;
  if (threads) wait_for_older_threads(state, is_alone_supervised);
  if (!state.objects_are_unsealed) note_sealed_by_filters(state, seals.first(filtered));
  return {};
}

}  // namespace libmseal::shim
