#include "shim/supervisor/dispatcher.h"

#include <asm/unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>
#include <utility>

#include "policy/parsers/text.h"
#include "policy/rules/parent_changes.h"
#include "shim/common/killed_calls.h"
#include "shim/supervisor/events/log.h"

namespace libmseal::supervisor {

using policy::MmCall;
using policy::Verdict;

namespace {

// How long a call waits for rings: on an overloaded machine the kernel takes seconds to destroy one.
constexpr auto kForRings = std::chrono::seconds(20);
// The same while it is not known who shares the memory: that may be for lack of time, or never become known.
constexpr auto kForSharers = std::chrono::seconds(5);

// Whether a new image is about to run.
bool is_start(const seccomp_notif& notification, const policy::Abi& abi) {
  return static_cast<std::uint32_t>(notification.data.nr) == abi.set_tid_address;
}

// Whether the program would run without the library. The caller is about to run its first instructions, and
// the library may have been placed where an inherited filter refuses changes. The dynamic linker first maps
// the whole library as its first segment, and then the other segments over that. If that is refused, it can't
// unmap the rest either, and continues without a library that is only preloaded. A library that is there ends
// with its data.
bool would_lose_library(Proc& proc, const Caller& caller) {
  if (!caller.foreign()) return false;
  bool lost = false;
  (void)visit_maps(proc, caller.task, [&](const policy::Vma& vma) {
    if (policy::last_component(vma.name).starts_with("libmseal.so")) lost = !vma.writable;
    return true;
  });
  return lost;
}

// In an audit the call does change the memory, which then counts as no longer sealed: otherwise all later
// calls there would be reported.
void drop_seals(const Caller& caller, const MmCall& call) {
  const bool changes_only = call.call == policy::Call::mprotect || call.effect != MmCall::Effect::modify;
  for (const policy::Range& range : call.ranges) {
    if (!changes_only && !range.empty()) caller.record->drop(range);
  }
}

}  // namespace

Dispatcher::Dispatcher(Listener& listener, Proc& proc, Registry& registry, const PolicyFiles& policies,
                       const KernelSizes& sizes, pid_t early_process, std::vector<policy::Range> watched,
                       const policy::Options& options)
    : listener_(listener),
      proc_(proc),
      registry_(registry),
      tree_options_(policy::tree_options(options)),
      holder_(proc),
      calls_(proc, holder_),
      sealer_(proc, registry, holder_, calls_, std::move(watched), tree_options_.audits),
      aio_rings_(proc, registry, holder_, early_process, sizes.processors),
      events_(proc, options),
      postponed_(listener),
      control_(listener, proc, registry, policies, postponed_, holder_, sealer_, events_, options),
      judge_(proc, sizes.huge_page, early_process) {
  holder_.set_waits([this](pid_t task) { return postponed_.has_call_of(task); });
}

void Dispatcher::handle(const seccomp_notif& notification) noexcept {
  answer(notification);
  try {
    control_.make_spare_table();
    if (registry_.wants_to_forget()) listener_.stop_signals();
    // Now, because no call waits.
    if (registry_.forget_ended_if_due()) calls_.forget_ended();
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is tried again
  }
}

void Dispatcher::answer(const seccomp_notif& notification) noexcept {
  try {
    return dispatch(notification);
  } catch (const std::exception& error) {
    try {
      log(Level::error, "pid ", notification.pid, ": system call ", notification.data.nr,
          " is refused: ", error.what());
      (void)registry_.forget_ended_now();
    } catch (...) {  // NOLINT(bugprone-empty-catch): nothing is left to be done about it
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is refused, below
  }
  // set_tid_address can't be refused: libc would mistake the error for its thread ID. Without a verdict the
  // program must not run, because the library is required.
  const policy::Abi* const abi = policy::find_abi(machine_, notification.data.arch);
  if (abi != nullptr && is_start(notification, *abi) && notification.pid != 0 &&
      listener_.still_waits(notification.id))
    (void)kill(static_cast<pid_t>(notification.pid), SIGKILL);
  listener_.refuse(notification.id, notification.data.nr == policy::kMsealNumber ? ENOMEM : EPERM);
  control_.tidy();
}

Dispatcher::Notification Dispatcher::decode(const seccomp_notif& raw, const policy::Abi& abi) const {
  const bool native = &abi == machine_.abis.data();
  auto number = static_cast<std::uint32_t>(raw.data.nr);
  policy::Arguments arguments;
  std::ranges::copy(raw.data.args, arguments.begin());
  if (native && number == __NR_mmap) {
    if (const auto message = policy::unwrap_from_mmap(arguments)) {
      number = policy::kMsealNumber;
      arguments = *message;
    }
  }
  const MmCall call = policy::decode(machine_, abi, number, arguments);
  return {raw, abi, static_cast<pid_t>(raw.pid), native, number, arguments, call};
}

void Dispatcher::dispatch(const seccomp_notif& raw) {
  const policy::Abi* const abi = policy::find_abi(machine_, raw.data.arch);
  if (abi == nullptr) return listener_.refuse(raw.id, ENOSYS);
  const Notification notification = decode(raw, *abi);
  const std::uint32_t number = notification.number;
  if (policy::makes_sibling(*abi, number, notification.arguments) ||
      policy::makes_subreaper(*abi, number, notification.arguments))
    return handle_lineage(notification);
  if (policy::find_call(*abi, number) != nullptr) {
    const bool seals = notification.call.effect == MmCall::Effect::seal;
    return seals ? handle_mseal(notification) : handle_memory_call(notification);
  }
  if (is_start(raw, *abi)) return handle_start(notification);
  handle_blocked_call(notification);
}

void Dispatcher::handle_lineage(const Notification& notification) {
  const std::uint64_t id = notification.raw.id;
  const bool clones = policy::makes_sibling(notification.abi, notification.number, notification.arguments);
  // With garbage in the upper halves of registers, /proc would not show it as a clone. So it is refused, as
  // the first filter does without CLONE_PARENT.
  if (clones && !policy::fit(notification.abi, notification.arguments) && !tree_options_.audits)
    return listener_.refuse(id, EPERM);
  listener_.stop_signals();
  registry_.note_lineage(notification.task, clones);
  listener_.continue_call(id);
}

void Dispatcher::handle_mseal(const Notification& notification) {
  aio_rings_.ended(notification.task);
  const auto received = control_.receive(notification.raw, notification.arguments, notification.native);
  if (received.answered) return;
  if (auto caller = identify_caller(notification))
    control_.handle(notification.raw, notification.arguments, *caller, received);
}

void Dispatcher::handle_memory_call(const Notification& notification) {
  calls_.keep_few();
  aio_rings_.ended(notification.task);
  const MmCall& call = notification.call;
  if (call.call == policy::Call::io_setup) aio_rings_.note_request(call);
  if (must_wait(notification)) {
    if (!postponed_.add(notification.raw, kForRings)) listener_.refuse(notification.raw.id, EAGAIN);
    return;
  }
  judge_.note_huge_pages(call);
  // Most calls touch nothing that any process has sealed. The caller need not be identified then.
  if (judge_.allows_everybody(call, registry_)) return let_through(notification);
  if (const auto caller = identify_caller(notification)) decide(notification, *caller);
}

void Dispatcher::handle_start(const Notification& notification) {
  const auto caller = identify_caller(notification);
  if (!caller) return;
  if (would_lose_library(proc_, *caller) && listener_.still_waits(notification.raw.id)) {
    log(Level::error, "pid ", caller->process.id,
        " is killed before it runs, because the library is required: the kernel has placed ",
        program_of(proc_, caller->process.id),
        " where a filter of an ancestor refuses changes; start it again, or use coverage=all");
    (void)kill(caller->process.id, SIGKILL);
  }
  listener_.continue_call(notification.raw.id);
}

void Dispatcher::handle_blocked_call(const Notification& notification) {
  begin_to_inspect(notification.task);
  events_.record_blocked_call(notification.raw, registry_);
  listener_.continue_call(notification.raw.id);
}

std::optional<Caller> Dispatcher::identify_caller(const Notification& notification) {
  begin_to_inspect(notification.task);
  Caller caller = registry_.look_up(notification.task);
  if (!caller.certain && !listener_.still_waits(notification.raw.id)) return std::nullopt;
  return caller;
}

void Dispatcher::begin_to_inspect(pid_t task) {
  listener_.stop_signals();  // they must not interrupt the following reads
  calls_.ended(task);
}

// An mremap waits for calls that may unmap a ring in its memory. Such a call in turn waits for an mremap that
// waits already: that goes first, because it might otherwise wait for ever.
bool Dispatcher::must_wait(const Notification& notification) const {
  const pid_t task = notification.task;
  if (aio_rings_.must_wait(task, notification.call)) return true;
  if (!AioRings::is_about(notification.call)) return false;
  return std::ranges::any_of(postponed_.all(), [&](const seccomp_notif& other) {
    const policy::Abi* const abi = policy::find_abi(machine_, other.data.arch);
    const auto* const known = policy::find_call(*abi, static_cast<std::uint32_t>(other.data.nr));
    return known != nullptr && known->call == policy::Call::mremap && listener_.still_waits(other.id) &&
           shim::compare_memory(task, static_cast<pid_t>(other.pid)) <= 0;  // the same, or not known
  });
}

void Dispatcher::decide(const Notification& notification, const Caller& caller) {
  const MmCall& call = notification.call;
  if (caller.standing == Caller::Standing::unknown) {
    log(Level::warning, "pid ", caller.task, ": ", policy::name_of(call.call),
        ": the caller can't be identified, so the seals of all processes apply");
  }
  const Verdict verdict = judge_.decide(call, caller, registry_);
  if (verdict == Verdict::allow) return let_through(notification);
  if (AioRings::is_about(call) && aio_rings_.is_harmless(caller, call)) {
    using Begun = AioRings::Begun;
    const auto begun = tree_options_.audits ? Begun::yes : aio_rings_.begin(caller);
    if (begun == Begun::yes) return let_through(notification);
    // Later, for example if a thread is just being created.
    if (begun == Begun::later && postponed_.add(notification.raw, kForRings)) return;
    if (begun == Begun::perhaps_later && postponed_.add(notification.raw, kForSharers)) return;
  }
  log(Level::debug, "pid ", caller.task, ": ", policy::name_of(call.call), " on ", RangeText{call.ranges[0]},
      ": refused");
  refuse(notification, caller, verdict);
}

void Dispatcher::let_through(const Notification& notification) {
  const MmCall& call = notification.call;
  log(Level::debug, "pid ", notification.task, ": ", policy::name_of(call.call), " on ",
      RangeText{call.ranges[0]}, ": allowed");
  if (tree_options_.covers_all) calls_.begun(notification.task, call);
  listener_.continue_call(notification.raw.id);
}

void Dispatcher::refuse(const Notification& notification, const Caller& caller, Verdict verdict) {
  const MmCall& call = notification.call;
  const std::uint64_t id = notification.raw.id;
  if (tree_options_.wants_sites) events_.record(notification.raw, caller, call);
  if (tree_options_.audits) {
    drop_seals(caller, call);
    return listener_.continue_call(id);
  }
  if (verdict == Verdict::answer_zero) return listener_.answer(id, 0);
  if (AioRings::is_about(call)) {
    log(Level::warning, "pid ", caller.process.id, ": ", policy::name_of(call.call),
        " is refused, because it might unmap sealed memory; open=io_destroy allows it");
  }
  listener_.refuse(id, call.call == policy::Call::io_setup ? ENOSYS : EPERM);
}

void Dispatcher::catch_up() {
  constexpr auto kAtMost = std::chrono::milliseconds(20);  // new notifications wait meanwhile
  const auto until = Clock::now() + kAtMost;
  events_.flush();
  for (const seccomp_notif& notification : postponed_.all()) {
    if (listener_.still_waits(notification.id)) handle(notification);
    if (Clock::now() >= until) break;
  }
  postponed_.forget_answered();
  control_.tidy();
  (void)aio_rings_.tidy();
}

void Dispatcher::idle() noexcept {
  try {
    catch_up();
    if (registry_.forget_ended_if_due(true)) calls_.forget_ended();
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is tried again
  }
}

// Takes at most half of the time.
void Dispatcher::catch_up_if_due() noexcept {
  const std::chrono::milliseconds patience(patience_while_busy());
  if (patience < patience.zero()) return due_.reset();
  const auto start = Clock::now();
  due_ = std::min(due_.value_or(start + patience), start + patience);
  if (start < *due_) return;
  try {
    listener_.stop_signals();
    catch_up();
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is tried again
  }
  const auto end = Clock::now();
  due_ = end + std::max<Clock::duration>(patience, end - start);
}

int Dispatcher::patience_while_busy() const {
  constexpr int kMoment = 50;  // ms, in which a refused thread sends its call site
  if (!postponed_.empty() || control_.busy() || aio_rings_.busy()) return 1;
  return events_.waiting() || holder_.has_some_to_let_go() ? kMoment : -1;
}

int Dispatcher::patience() const {
  constexpr int kMomentToForget = 50;  // ms
  const int patience = patience_while_busy();
  return patience < 0 && registry_.wants_to_forget() ? kMomentToForget : patience;
}

}  // namespace libmseal::supervisor
