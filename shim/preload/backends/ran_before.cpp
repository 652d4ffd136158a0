#include "shim/preload/backends/ran_before.h"

#include <sys/auxv.h>

#include <algorithm>
#include <cerrno>

#include "shim/common/clock.h"
#include "shim/common/fork_sample.h"
#include "shim/common/killed_calls.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/time_namespace.h"
#include "shim/preload/backends/own_sealing.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/process/alone_proof.h"
#include "shim/preload/process/in_flight_calls.h"
#include "shim/preload/process/io_uring.h"
#include "shim/preload/process/own_sharers.h"
#include "shim/preload/process/pid_namespace.h"
#include "shim/preload/process/printed_notices.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

constexpr std::string_view kHasRing =
    "the program has an io_uring already, or may have one, and filters can't see its requests";

// After execve, processes that share this memory are younger than this one. So is whatever got a later ID.
// Without, this may be a child that shares its parent's memory.
bool may_share_memory(const ProcRoot& proc, const policy::StatLine& own) {
  const long process = raw_syscall(__NR_getpid);
  if (present_pid_namespace(proc).is != NamespaceIs::first) return true;
  const ForkSample now = sample_forks(proc);
  if (now.last == process && !own.is_fork()) return false;
  find_out_about_kcmp();
  const std::uint64_t tick = 1'000'000'000 / getauxval(AT_CLKTCK);  // ns
  const std::uint64_t age = nanoseconds_of(CLOCK_BOOTTIME) - own.start_time * tick;
  ForkSample birth;  // unknown, unless the clocks can be compared
  if (!own.is_fork() && boot_time_offset(proc) == 0) birth = {process, monotonic_ns() - age};
  return search_own_sharers(proc, birth, now) != Sharing::alone;
}

// Why no filter can protect the objects. Sets `threads` if there are other threads.
Reason why_not_sealable(const State& state, const ObjectsAtStart& objects, bool& threads) {
  if (state.options.audit || objects.pieces.empty()) return {};
  if (!is_alone_for_sure()) {
    const ProcRoot proc;
    policy::StatLine own;
    const auto ask = [&] { return may_share_memory(proc, own) ? -EAGAIN : 0; };
    if (read_stat(proc, ProcPath("self/stat"), own) != 0) return {kSharedMemory};
    if (ask() != 0 && !proves_to_be_alone() && ask_until_alone(ask) != 0) return {kSharedMemory};
    threads = own.threads != 1;
  }
  // The first filter blocks what starts a request. One that waits goes on, also if the ring is not mapped.
  const bool only_by_descriptor = !threads && !objects.has_io_uring;
  const long ring =
      only_by_descriptor ? look_for_io_uring_descriptor(state.options) : look_for_io_uring(state.options);
  return ring != 0 ? Reason{kHasRing, std::min(ring, 0L)} : Reason{};
}

}  // namespace

RanBefore look_at_what_ran_before(State& state, const ObjectsAtStart& objects) {
  bool threads = false;
  const Reason reason = why_not_sealable(state, objects, threads);
  if (reason.none()) return {objects, threads};
  leave_objects_unsealed(state, reason);
  return {};
}

bool has_own_memory() {
  const ProcRoot proc;
  policy::StatLine own;
  if (read_stat(proc, ProcPath("self/stat"), own) != 0) return false;
  if (!own.is_fork() || is_alone_for_sure()) return true;
  find_out_about_kcmp();
  return present_pid_namespace(proc).is == NamespaceIs::first &&
         search_older_sharers(proc, own.start_time) == Sharing::alone;
}

void leave_objects_unsealed(State& state, const Reason& reason) {
  state.objects_are_unsealed = state.may_be_shared = true;
  const bool required = state.options.require != policy::Backend::automatic;
  // That memory is shared says nothing about other programs of the tree.
  const bool is_said = required || reason.what == kSharedMemory ||
                       first_in_tree(state, Notice::unsealed_objects, detail_of(reason.what), reason.error);
  if (is_said) {
    Message() << "the loaded objects are not sealed: " << reason
              << (required ? "; the program is not started" : "");
  }
  if (required) end_program();
}

void wait_for_older_threads(State& state, long (*is_alone)(const State&)) {
  const auto begun = state.joined ? policy::Begun::under_filters : policy::Begun::perhaps_before;
  if (wait_for_in_flight_calls(state.machine, begun) != 0) {
    return leave_objects_unsealed(
        state, {"a thread that was started before main is in a memory call, which may still change them"});
  }
  if (is_alone(state) != 0) return leave_objects_unsealed(state, {kSharedMemory});
  // A tree's first filter blocks rings.
  if (!state.joined && look_for_io_uring(state.options) != 0) leave_objects_unsealed(state, {kHasRing});
}

}  // namespace libmseal::shim
