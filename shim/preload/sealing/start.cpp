#include "shim/preload/sealing/start.h"

#include <sys/utsname.h>

#include <atomic>
#include <cerrno>

#include "policy/rules/abi.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/process/earlier_filters.h"
#include "shim/preload/process/in_flight_calls.h"
#include "shim/preload/process/io_uring.h"
#include "shim/preload/process/pid_namespace.h"
#include "shim/preload/process/printed_notices.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

using policy::Backend;

// Set under the lock: calls from before the filters may be in flight.
constinit std::atomic<bool> g_earlier_calls_may_run = false;

long refuse_io_uring(const policy::Options& options) {
  const long rings = look_for_io_uring(options);
  if (rings == 0) return 0;
  return failed(rings) ? explain(Why::unreadable, rings) : explain(Why::io_uring);
}

// The supervisor of a tree existed before this image and sees everything.
long check_namespace(bool not_needed) {
  return not_needed ? 0 : check_pid_namespace();
}

KernelMseal look_for_mseal(const State& state) {
  const bool may_ask =
      !state.is_barred() && !state.earlier_filters.are_of_tree && !program_filters_kill(Purpose::message);
  return may_ask ? ask_kernel(state.machine) : KernelMseal::not_asked;
}

Reason try_backend(State& state, Backend backend, const StartArguments& arguments, Job& job) {
  if (state.is_barred() && backend != Backend::libc) return {state.barred, 0};
  if (state.options.audit && backend != Backend::supervised)
    return {"mode=audit needs the backend supervised", 0};
  return functions_of(backend).start(state, arguments, job);
}

constexpr std::string_view consequence(Backend backend) {
  switch (backend) {
    case Backend::filters:
      return "calls whose arguments do not show what they touch are always refused";
    case Backend::libc:
      return "only libc calls are checked, raw system calls pass";
    default:
      return "";
  }
}

// Whether no address can have tag bits: linear address masking is off and, where filters rely on that, can't
// be turned on, because a filter of this process or an ancestor blocks that call. Filters are shorter then.
bool has_no_tags([[maybe_unused]] Backend backend) {
#ifdef __x86_64__
  std::uint64_t mask = ~0ULL;
  const long asked = raw_syscall(__NR_arch_prctl, policy::kArchGetUntagMask, &mask);
  const bool untagged = asked == 0 ? mask == ~0ULL : asked == -EINVAL;  // EINVAL: the kernel has no masking
  if (!untagged || !uses_filters(backend)) return untagged;
  return tagging_is_refused();
#else
  return false;
#endif
}

struct Choice {
  Backend backend;  // automatic: none could start
  Reason reason;    // why no stronger one
};

// Starts the strongest backend that can start.
Choice start_strongest(State& state, const StartArguments& arguments, Job& job) {
  constexpr Backend kByStrength[] = {Backend::kernel, Backend::supervised, Backend::filters, Backend::libc};
  const Backend asked = state.options.backend;
  Reason reason;
  for (const Backend backend : kByStrength) {
    if (asked != Backend::automatic && backend > asked) continue;
    const Reason failure = try_backend(state, backend, arguments, job);
    if (failure.none()) return {backend, reason};
    // Keep the reason of the first backend that failed. A kernel without mseal(2) is not worth reporting.
    if (reason.none() || (asked == Backend::automatic && backend == Backend::supervised)) reason = failure;
  }
  return {Backend::automatic, reason};
}

// The text after "on Linux ...": why it is this backend.
std::string_view circumstances(const State& state, KernelMseal kernel) {
  if (state.joined) return ", under the supervisor of this process tree";
  switch (kernel) {
    case KernelMseal::missing:
      return ", which has no mseal(2)";
    case KernelMseal::refused:
      return ", where a seccomp profile refuses mseal(2)";
    case KernelMseal::not_asked:
      return "";
    case KernelMseal::works:
      break;
  }
  const bool passed_over =
      state.options.backend == Backend::automatic && state.options.asks_for_strict_discard();
  return passed_over ? ", whose mseal(2) does not follow discard=strict" : ", which has mseal(2)";
}

// Only a supervisor writes events.
void report_unwritten_events(const State& state) {
  if (state.backend == Backend::supervised || state.options.events.empty()) return;
  if (!first_in_tree(state, Notice::unwritten_events, 0, 0)) return;
  Message() << "events=" << state.options.events
            << " is not written: only backend=supervised records events, and the backend is "
            << name_of(state.backend);
}

// Ends the program if the backend is weaker than it requires.
void enforce_requirement(const State& state, Reason reason) {
  const policy::Options& options = state.options;
  if (options.require <= state.backend) return;
  if (options.backend != Backend::automatic && options.require > options.backend)
    reason = {"a weaker backend was requested", 0, name_of(options.backend)};
  refuse_to_start("require=", name_of(options.require), reason);
}

// Ends the program, unless it is one that an audit leaves out.
void report_no_backend(State& state, const Reason& reason) {
  if (state.options.audit && reason.error == -EXDEV) {
    Message() << "this program is not audited: " << reason.what;
    state.backend = Backend::libc;
    state.is_not_audited = true;
    return;
  }
  if (state.options.audit) refuse_to_start("mode=", "audit", reason);
  Message() << "nothing can be sealed: " << reason;
  end_program();
}

void report(const State& state, KernelMseal kernel, const Reason& reason) {
  const Backend asked = state.options.backend;
  const Backend started = state.backend;
  const Backend wanted = asked == Backend::automatic ? Backend::supervised : asked;
  if (!reason.none() && started < wanted) {
    // The cause does not matter: a process that lacks a backend because an ancestor does prints nothing.
    if (!first_in_tree(state, Notice::weaker_backend, static_cast<std::uint32_t>(started), reason.error))
      return;
    Message message;
    message << "backend " << name_of(started) << " instead of " << name_of(wanted) << ": " << reason;
    if (started < Backend::supervised) message << "; " << consequence(started);
    if (state.leaves_fixed_objects) message << "; objects at fixed addresses are not sealed";
  } else if (state.options.verbose) {
    utsname system{};
    (void)raw_syscall(__NR_uname, &system);
    Message() << "backend " << name_of(started) << " on Linux " << system.release
              << circumstances(state, kernel);
  }
}

// Filters need not mask addresses that can't have tags. Not in an audit, which does not block that call and
// would record the test as an attempt.
void drop_tags(State& state) {
  if (!state.tree_options.audits && has_no_tags(state.backend)) state.machine.address_mask = ~0ULL;
}

}  // namespace

void start_without_sealing(State& state, Job& job) {
  if (state.is_barred() || !join_without_sealing(state, job)) return;
  state.backend = Backend::supervised;
  drop_tags(state);
}

long start_backend_late(State& state, Job& job) {
  const policy::Options& options = state.options;
  const bool by_kernel = options.backend == Backend::kernel || options.backend == Backend::automatic;
  const bool by_filter = options.backend != Backend::libc && !state.is_barred() &&
                         !(by_kernel && look_for_mseal(state) == KernelMseal::works);
  if (const long error = by_filter ? refuse_io_uring(options) : 0; error != 0) return error;
  if (const long error = check_namespace(!by_filter || state.earlier_filters.are_of_tree); error != 0)
    return error;
  SupervisorLaunch launch;
  start_backend(state, {}, launch, job);
  return 0;
}

bool earlier_calls_have_ended() {
  return !g_earlier_calls_may_run;
}

long wait_for_earlier_calls(const State& state) {
  if (earlier_calls_have_ended()) return 0;
  if (program_filters_bar_self_inspection()) return explain(Why::program_filter_kills);
  // Filters that answered like those of a tree may have been others.
  if (const long error = check_namespace(state.joined); error != 0) return error;
  if (wait_for_in_flight_calls(state.machine, policy::Begun::perhaps_before) != 0)
    return explain(Why::thread);
  if (const long error = refuse_io_uring(state.options); error != 0) return error;
  g_earlier_calls_may_run = false;
  return 0;
}

void start_backend(State& state, const ObjectsAtStart& objects, SupervisorLaunch& launch, Job& job) {
  const StartArguments arguments{objects, look_for_mseal(state), launch};
  const auto [backend, reason] = start_strongest(state, arguments, job);
  if (backend == Backend::automatic) return report_no_backend(state, reason);
  state.backend = backend;
  // Nothing has been looked for then, as before a late start.
  const bool unseen = objects.pieces.empty() && uses_filters(backend) && !state.options.audit;
  if (unseen) state.may_be_shared = state.started_late = true;
  if (unseen || state.has_older_threads || state.objects_are_unsealed)
    g_earlier_calls_may_run = uses_filters(backend);
  drop_tags(state);
  enforce_requirement(state, reason);
  report(state, arguments.kernel, reason);
  report_unwritten_events(state);
  leave_notices(state);
}

}  // namespace libmseal::shim
