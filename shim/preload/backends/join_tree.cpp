// Inside a tree that has a supervisor.
#include <sys/mman.h>

#include <cerrno>

#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/backends/own_sealing.h"
#include "shim/preload/backends/ran_before.h"
#include "shim/preload/backends/supervised_sealing.h"
#include "shim/preload/backends/tree.h"
#include "shim/preload/filters/deny_filter.h"
#include "shim/preload/memory/load_ranges.h"
#include "shim/preload/memory/sealed_area.h"
#include "shim/preload/process/alone_proof.h"
#include "shim/preload/process/exec_layout.h"
#include "shim/preload/process/own_sharers.h"
#include "shim/preload/state/program_filters.h"
#include "shim/preload/supervisor/table_reader.h"

namespace libmseal::shim {

using policy::Range;
using policy::Seal;

namespace {

bool is_watched(const State& state, const Range& range) {
  return state.tree_options.covers_all || policy::any_contains(watched_ranges(), range);
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

// Unmaps inaccessible memory if no filter refuses changes of it. True if one does, or may: where a range
// crosses a multiple of 4 GiB, the supervisor decides about the whole, and filters about smaller parts.
bool keep_if_filtered(const Range& range) {
  if (range.start >> 32 != (range.end - 1) >> 32 || program_filters_kill(Purpose::optional)) return true;
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

}  // namespace

Range table_range(const State& state) {
  return Range::of(reinterpret_cast<std::uint64_t>(state.table), kTableBytes);
}

bool add_table(const State& state, std::span<const Seal> objects, Pieces& pieces) {
  pieces.clear();
  bool fits = true;
  for (const Seal& object : objects) fits = fits && pieces.push_back(object);
  const Seal table{table_range(state), true};
  return fits &&
         (is_in_sealed_area(state, table.range) || policy::add_seal(pieces, table, Pieces::capacity()));
}

Reason join_tree(State& state, long table_descriptor, const ObjectsAtStart& objects, Job& job) {
  state.joined = true;
  const long mapped = map_own_table(state, table_descriptor);
  if (mapped == -EPROTO) return {"the supervisor of this process tree is of another version", 0};
  if (mapped != 0) return {"the supervisor's table could not be mapped", mapped};
  state.tree_options = table_tree_options(state.table);
  put_up_fences(state);
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
  long sent = send_seals(seals, filtered);
  if (sent == -EAGAIN && (proves_to_be_alone() || look_for_sharers(state) == 0))
    sent = send_seals(seals, filtered, true);
  if (sent == -EAGAIN) sent = ask_until_alone([&] { return send_seals(seals, filtered); });
  if (sent == -EAGAIN) {
    leave_objects_unsealed(state, {kSharedMemory});
    return {};
  }
  if (sent < 0) return {"the supervisor does not accept the seals of this program", sent};
  // An audit stops no thread.
  if (sent == policy::kHasOtherThreads && !state.tree_options.audits)
    wait_for_older_threads(state, is_alone_supervised);
  if (!state.objects_are_unsealed) note_sealed_by_filters(state, seals.first(filtered));
  return {};
}

}  // namespace libmseal::shim
