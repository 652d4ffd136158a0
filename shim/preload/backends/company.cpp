#include "shim/preload/backends/company.h"

#include <sched.h>
#include <sys/auxv.h>

#include <cerrno>

#include "shim/common/clock.h"
#include "shim/common/fork_sample.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/sharers.h"
#include "shim/preload/backends/own_sealing.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/process/in_flight_calls.h"
#include "shim/preload/process/io_uring.h"
#include "shim/preload/process/printed_notices.h"
#include "shim/preload/state/own_filters.h"

namespace libmseal::shim {
namespace {

// Whether there is neither another thread nor another process with this memory. The kernel allows unshare of
// what is not shared (kernel/fork.c, check_unshare_flags), and does nothing then. A filter might kill for it,
// or answer instead of the kernel.
bool is_alone_for_sure() {
  return !has_filters() && raw_syscall(__NR_unshare, CLONE_VM) == 0;
}

// Processes that share this memory are younger than this one. So is whatever got a later ID.
bool may_share_memory(const ProcRoot& proc, const policy::StatLine& own) {
  const long process = raw_syscall(__NR_getpid);
  if (!shows_own_namespace(proc)) return true;
  const ForkSample now = sample_forks(proc);
  if (now.last == process) return false;
  const std::uint64_t tick = 1'000'000'000 / getauxval(AT_CLKTCK);  // ns
  const std::uint64_t age = nanoseconds_of(CLOCK_BOOTTIME) - own.start_time * tick;
  const ForkSample birth{process, monotonic_ns() - age};
  SharerSearch search(proc, process, raw_syscall(__NR_gettid));
  const auto sample = [&] { return sample_forks(proc); };
  const auto at_first = [](long) { return false; };
  return search.run(birth, now, pid_max(proc), sample, at_first) != Sharing::alone;
}

}  // namespace

Company look_for_company(const policy::Options& options) {
  Company company;
  if (options.audit) return company;
  const long ring = look_for_io_uring(options);
  if (ring > 0) return {{"the program has an io_uring already, and filters can't see its requests", 0}};
  if (ring < 0) return {{"the program may have an io_uring already, whose requests filters can't see", ring}};
  if (is_alone_for_sure()) return company;
  const ProcRoot proc;
  policy::StatLine own;
  const auto ask = [&] { return may_share_memory(proc, own) ? -EAGAIN : 0; };
  if (read_stat(proc, ProcPath("self/stat"), own) != 0 || ask_until_alone(ask) != 0)
    return {{kSharedMemory, 0}};
  company.threads = own.threads != 1;
  return company;
}

void leave_objects_unsealed(State& state, const Outcome& reason) {
  state.objects_are_unsealed = true;
  const bool required = state.options.require != policy::Backend::automatic;
  if (required || first_in_tree(state, Notice::unsealed_objects, 0, reason.error)) {
    Message() << "the loaded objects are not sealed: " << reason
              << (required ? "; the program is not started" : "");
  }
  if (required) give_up();
}

void wait_for_calls_of_before(const State& state) {
  const auto begun = state.joined ? policy::Begun::under_filters : policy::Begun::perhaps_before;
  if (wait_for_in_flight_calls(state.machine, begun) == 0) return;
  const bool required = state.options.require != policy::Backend::automatic;
  Message()
      << "a thread that was started before main is in a memory call, which may still change a sealed object"
      << (required ? "; the program is not started" : "");
  if (required) give_up();
}

}  // namespace libmseal::shim
