// The backend `supervised`: filters refuse what they can judge, and one supervisor for each process tree
// decides the rest.
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/mman.h>

#include <cerrno>

#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_sealing.h"
#include "shim/preload/backends/ran_before.h"
#include "shim/preload/backends/supervised_sealing.h"
#include "shim/preload/filters/deny_filter.h"
#include "shim/preload/filters/first_filter.h"
#include "shim/preload/filters/install.h"
#include "shim/preload/memory/load_ranges.h"
#include "shim/preload/memory/sealed_area.h"
#include "shim/preload/memory/vm_peak_mark.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/process/exec_layout.h"
#include "shim/preload/state/program_filters.h"
#include "shim/preload/supervisor/announce.h"
#include "shim/preload/supervisor/table_reader.h"

namespace libmseal::shim {
namespace {

using policy::Control;
using policy::Range;
using policy::Seal;

bool may_be_load_range(const Range& range) {
  return policy::any_touches(load_ranges_without_aslr(), range);
}

bool is_watched(const State& state, const Range& range) {
  return state.tree_options.covers_all || policy::any_contains(watched_ranges(), range);
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

Range table_range(const State& state) {
  return Range::of(reinterpret_cast<std::uint64_t>(state.table), kTableBytes);
}

// Maps the table of this image, and closes its descriptor. In the sealed area, where it needs no filter and
// MADV_DONTFORK is refused; anywhere if the tree has no sealed area.
long map_own_table(State& state, long descriptor) {
  Range sealed_area;
  if (const long error = read_sealed_area(descriptor, sealed_area); error != 0) {
    (void)raw_syscall(__NR_close, descriptor);
    return error;
  }
  set_windows(state, sealed_area, true);
  if (!has_window(state, Window::protected_contents)) return map_table(descriptor, state.table);
  const auto file = static_cast<std::uint64_t>(descriptor);
  const long mapped =
      map_in_window(state, Window::protected_contents, {0, kTableBytes, PROT_READ, MAP_SHARED, file, 0});
  // The program may have mapped all of it before the library started, as sanitizers do.
  if (mapped == -ENOMEM) return map_table(descriptor, state.table);
  (void)raw_syscall(__NR_close, descriptor);
  if (failed(mapped)) return mapped;
  state.table = reinterpret_cast<const void*>(mapped);
  return 0;
}

// Moves the table of a new tree's first image, which was mapped before the sealed area existed.
void move_table(State& state) {
  if (!has_window(state, Window::protected_contents)) return;
  const long moved = move_to_window(state, Window::protected_contents, table_range(state));
  if (!failed(moved)) state.table = reinterpret_cast<const void*>(moved);
}

// Puts the objects into `pieces`, and the table if it is not in the sealed area. Its contents are protected,
// so that it can be joined with adjacent objects.
bool add_table(const State& state, std::span<const Seal> objects, Pieces& pieces) {
  pieces.clear();
  bool fits = true;
  for (const Seal& object : objects) fits = fits && pieces.push_back(object);
  const Seal table{table_range(state), true};
  return fits &&
         (is_in_sealed_area(state, table.range) || policy::add_seal(pieces, table, Pieces::capacity()));
}

// Puts the pieces for filters before those for the supervisor. Returns the number of the former.
template <class IsLeft>
std::size_t sort_by_decider(const Pieces& pieces, IsLeft is_left, Pieces& sorted) {
  sorted.clear();
  for (const Seal& piece : pieces) {
    if (!is_left(piece)) (void)sorted.push_back(piece);
  }
  const std::size_t filtered = sorted.size();
  for (const Seal& piece : pieces) {
    if (is_left(piece)) (void)sorted.push_back(piece);
  }
  return filtered;
}

// ---- inside a tree that has a supervisor ----

// Unmaps inaccessible memory if no filter refuses changes of it. True if one does, or may: where a range
// crosses a multiple of 4 GiB, the supervisor decides about the whole, and filters about smaller parts.
bool keep_if_filtered(const Range& range) {
  if (range.start >> 32 != (range.end - 1) >> 32 || program_filters_kill(Task::optional)) return true;
  const auto is_refused = [&](long number, long argument) {
    return raw_syscall(number, range.start, range.size(), argument) == -EPERM;
  };
  return is_refused(__NR_mprotect, PROT_NONE) || is_refused(__NR_madvise, MADV_DONTNEED) ||
         is_refused(__NR_munmap, 0);
}

// Maps inaccessible memory where filters of earlier images still refuse changes, so that nothing is placed
// there. The table may name more ranges than that.
void put_up_fences(State& state) {
  for (const Range& fence : table_fences(state.table)) {
    const long mapped = raw_syscall(__NR_mmap, fence.start, fence.size(), PROT_NONE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (failed(mapped) || keep_if_filtered(fence)) note_filtered(state, fence);
  }
  (void)set_exec_layout(state);
}

// Joins the tree.
Reason join(State& state, long table_descriptor, const ObjectsAtStart& objects, Job& job) {
  state.joined = true;
  const long mapped = map_own_table(state, table_descriptor);
  if (mapped == -EPROTO) return {"the supervisor of this process tree is of another version", 0};
  if (mapped != 0) return {"the supervisor's table could not be mapped", mapped};
  state.tree_options = table_tree_options(state.table);
  put_up_fences(state);
  mark_vm_peak();
  if (objects.pieces.empty()) return {};

  if (!add_table(state, objects.pieces, job.found.pieces)) return {"too many loaded objects", -ENOMEM};
  const bool by_supervisor = state.tree_options.audits || objects.refused_breaks.empty();
  const auto is_left = [&](const Seal& piece) { return by_supervisor && is_watched(state, piece.range); };
  const std::size_t filtered = sort_by_decider(job.found.pieces, is_left, job.covered);
  const std::span<const Seal> seals = job.covered.view();
  if (filtered != 0) {
    const DenyFilter filter{seals.first(filtered), objects.refused_breaks, true};
    if (const long error = install_deny_filter(state, filter, job.draft); error != 0)
      return {"the filter of this program could not be installed", error};
  }
  const long sent = ask_until_alone([&] { return send_seals(seals, filtered); });
  if (sent == -EAGAIN) {
    leave_objects_unsealed(state, {kSharedMemory});
    return {};
  }
  if (sent < 0) return {"the supervisor does not accept the seals of this program", sent};
  note_sealed_by_filters(state, seals.first(filtered));
  // An audit stops no thread.
  if (sent == policy::kHasOtherThreads && !state.tree_options.audits)
    wait_for_older_threads(state, is_alone_supervised);
  return {};
}

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

// ---- at the root of a tree ----

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
                 const Watched& watched, const Range& sealed_area, bool ran_before_filter) {
  const auto give = [&](long listener) {
    return arguments.launch.hand_over(static_cast<int>(listener), job.covered.view(), filtered,
                                      watched.view(), sealed_area, {state.texts->environment.data()},
                                      ran_before_filter);
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
  if (answer.result != 0)
    return {"no seccomp listener is possible, and the supervisor may not trace the program", answer.result};
  report_files(state, answer);
  job.draft.program.replace_action(policy::kActionNotify, SECCOMP_RET_TRACE);
  const long installed = install_filter(job.draft.program.instructions(), false);
  if (installed != 0) return {"the filter could not be installed", installed};
  Message() << "the audit traces the program by ptrace, because there can be no seccomp listener: "
            << ErrorText{listener};
  return {};
}

// Starts a supervisor for this process and its descendants.
Reason launch_supervisor(State& state, const StartArguments& arguments, Job& job) {
  SupervisorLaunch& launch = arguments.launch;
  const auto [objects, threads] = look_at_what_ran_before(state, arguments.objects);
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

  const bool ran_before_filter = objects.pieces.empty() || threads || objects.has_aio_ring;
  const Reason failure = hand_over(state, arguments, job, filtered, watched, sealed_area, ran_before_filter);
  if (!failure.none()) return failure;
  note_sealed_by_filters(state, seals.first(filtered));
  state.has_older_threads = threads;
  if (threads) wait_for_older_threads(state, is_alone_supervised);
  return {};
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

// ---- the backend ----

Reason start(State& state, const StartArguments& arguments, Job& job) {
  const long table = ask_to_join();
  const long probed = table >= 0 ? 0 : probe_listener();
  const Reason failure = [&]() -> Reason {
    if (table >= 0) return join(state, table, arguments.objects, job);
    if (probed == -EBUSY || table == -EXDEV) return explain_no_answer(table);
    if (probed != 0 && !state.options.audit) return {"no seccomp listener", probed};
    return launch_supervisor(state, arguments, job);
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
  const long answer = send_message({Control::Kind::query, {range}});
  return failed(answer) ? query_local_seals(state, range) : policy::decode_sealed(answer);
}

}  // namespace

const BackendFunctions kSupervisedBackend{start, seal, query, is_alone_supervised};

bool join_without_sealing(State& state, Job& job) {
  const long table = ask_to_join();
  if (table < 0) return false;
  const bool joined = join(state, table, {}, job).none();
  note_outcome(state, joined);
  return joined;
}

}  // namespace libmseal::shim
