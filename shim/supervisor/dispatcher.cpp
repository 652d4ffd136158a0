#include "shim/supervisor/dispatcher.h"

#include <asm/unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>
#include <utility>

#include "policy/rules/lineage.h"
#include "shim/common/killed_calls.h"
#include "shim/supervisor/events/log.h"

namespace libmseal::supervisor {

using policy::MmCall;
using policy::Verdict;

namespace {

// How long a call waits for rings: on an overloaded machine the kernel takes seconds to destroy one.
constexpr auto kForRings = std::chrono::seconds(20);

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
    if (vma.name.substr(vma.name.rfind('/') + 1).starts_with("libmseal.so")) lost = !vma.writable;
    return true;
  });
  return lost;
}

}  // namespace

Dispatcher::Dispatcher(Listener& listener, Proc& proc, Registry& registry, const PolicyFiles& policies,
                       const KernelSizes& sizes, pid_t older, std::vector<policy::Range> watched,
                       const policy::Options& options)
    : listener_(listener),
      proc_(proc),
      registry_(registry),
      tree_options_(policy::tree_options(options)),
      holder_(proc),
      calls_(proc, holder_),
      sealer_(proc, registry, holder_, calls_, std::move(watched), tree_options_.audits),
      aio_rings_(proc, registry, holder_, older, sizes.processors),
      events_(proc, options),
      audit_(proc, events_, tree_options_),
      control_(listener, proc, registry, policies, holder_, sealer_, events_, options),
      judge_(proc, sizes.huge_page, older) {
  holder_.set_waits([this](pid_t task) { return control_.has_postponed(task); });
}

void Dispatcher::handle(const seccomp_notif& notification) noexcept {
  answer(notification);
  try {
    control_.make_spare_table();
    if (registry_.wants_to_collect()) listener_.stop_signals();
    if (registry_.collect()) calls_.collect();  // now, because no call waits
  } catch (...) {                               // NOLINT(bugprone-empty-catch): it is tried again
  }
}

void Dispatcher::answer(const seccomp_notif& notification) noexcept {
  try {
    return dispatch(notification);
  } catch (const std::exception& error) {
    try {
      log(Level::error, "pid ", notification.pid, ": system call ", notification.data.nr,
          " is refused: ", error.what());
      (void)registry_.collect_now();
    } catch (...) {  // NOLINT(bugprone-empty-catch): nothing is left to be done about it
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is refused, below
  }
  // set_tid_address can't be refused: libc would take the error for its thread ID. Without a verdict the
  // program must not run, because the library is required.
  const policy::Abi* const abi = policy::find_abi(machine_, notification.data.arch);
  if (abi != nullptr && is_start(notification, *abi) && notification.pid != 0 &&
      listener_.still_waits(notification.id))
    (void)kill(static_cast<pid_t>(notification.pid), SIGKILL);
  listener_.refuse(notification.id, notification.data.nr == policy::kMsealNumber ? ENOMEM : EPERM);
  control_.tidy();
}

void Dispatcher::dispatch(const seccomp_notif& notification) {
  const policy::Abi* const abi = policy::find_abi(machine_, notification.data.arch);
  if (abi == nullptr) return listener_.refuse(notification.id, ENOSYS);
  policy::Arguments arguments;
  std::ranges::copy(notification.data.args, arguments.begin());
  const auto task = static_cast<pid_t>(notification.pid);
  auto number = static_cast<std::uint32_t>(notification.data.nr);
  const bool native = abi == machine_.abis.data();
  if (native && number == __NR_mmap) {
    if (const auto message = policy::unwrap_from_mmap(arguments)) {
      number = policy::kMsealNumber;
      arguments = *message;
    }
  }
  if (note_lineage(notification, *abi, arguments)) return;
  // Other calls are the start of an image, and those that are blocked.
  const bool is_memory_call = policy::find_call(*abi, number) != nullptr;
  const MmCall call = policy::decode(machine_, *abi, number, arguments);
  const bool seals = call.effect == MmCall::Effect::seal;
  if (call.call == policy::Call::io_setup) aio_rings_.note_request(call);
  calls_.keep_few();
  if (is_memory_call && (aio_rings_.must_wait(task, call) || gives_way(task, call))) {
    if (!control_.postpone(notification, kForRings)) listener_.refuse(notification.id, EAGAIN);
    return;
  }
  // Most calls touch nothing that any process has sealed. The caller need not be identified then.
  if (is_memory_call && !seals && judge_.allows_everybody(call, registry_)) {
    return let_through(notification, call);
  }
  const auto received =
      seals ? control_.receive(notification, arguments, native) : ControlChannel::ReceivedCall{};
  if (received.answered) return;
  listener_.stop_signals();  // the timer must not interrupt the following reads
  calls_.ended(task);
  const bool starts = is_start(notification, *abi);
  if (!is_memory_call && !starts) {
    audit_.record_blocked_call(notification, registry_);
    return listener_.continue_call(notification.id);
  }
  Caller caller = registry_.look_up(task);
  if (!caller.certain && !listener_.still_waits(notification.id)) return;
  if (starts) return handle_start(notification, caller);
  if (seals) return control_.handle(notification, caller, received);
  handle_call(notification, caller, call);
}

// Whether an mremap in the same memory waits for calls like this one: it goes first, or might wait for ever.
bool Dispatcher::gives_way(pid_t task, const MmCall& call) const {
  if (!AioRings::is_about(call)) return false;
  return std::ranges::any_of(control_.postponed(), [&](const seccomp_notif& other) {
    const policy::Abi* const abi = policy::find_abi(machine_, other.data.arch);
    const auto* const known = policy::find_call(*abi, static_cast<std::uint32_t>(other.data.nr));
    return known != nullptr && known->call == policy::Call::mremap && listener_.still_waits(other.id) &&
           shim::compare_memory(task, static_cast<pid_t>(other.pid)) <= 0;  // the same, or not known
  });
}

// True if the call changes the parents in /proc (lineage.h); it is then answered.
bool Dispatcher::note_lineage(const seccomp_notif& notification, const policy::Abi& abi,
                              const policy::Arguments& arguments) {
  const auto number = static_cast<std::uint32_t>(notification.data.nr);
  const bool clones = policy::makes_sibling(abi, number, arguments);
  if (!clones && !policy::makes_subreaper(abi, number, arguments)) return false;
  // With garbage in the upper halves of registers, /proc would not show it as a clone. So it is refused, as
  // the first filter does without CLONE_PARENT.
  if (clones && !policy::fit(abi, arguments) && !tree_options_.audits) {
    listener_.refuse(notification.id, EPERM);
    return true;
  }
  listener_.stop_signals();
  registry_.note_lineage(static_cast<pid_t>(notification.pid), clones);
  listener_.continue_call(notification.id);
  return true;
}

void Dispatcher::handle_call(const seccomp_notif& notification, const Caller& caller, const MmCall& call) {
  if (caller.standing == Caller::Standing::unknown) {
    log(Level::warning, "pid ", caller.task, ": system call ", notification.data.nr,
        ": the caller can't be identified, so the seals of all processes apply");
  }
  const Verdict verdict = judge_.decide(call, caller);
  if (verdict == policy::kAllow) return let_through(notification, call);
  if (AioRings::is_about(call) && aio_rings_.is_harmless(caller, call)) {
    if (tree_options_.audits || aio_rings_.begin(caller)) return let_through(notification, call);
    if (control_.postpone(notification, kForRings)) return;  // a thread is just being created, say
  }
  log(Level::debug, "pid ", caller.task, ": system call ", notification.data.nr, " on ",
      RangeText{call.ranges[0]}, ": refused");
  refuse(notification, caller, call, verdict);
}

void Dispatcher::let_through(const seccomp_notif& notification, const MmCall& call) {
  log(Level::debug, "pid ", notification.pid, ": system call ", notification.data.nr, " on ",
      RangeText{call.ranges[0]}, ": allowed");
  if (tree_options_.covers_all) calls_.begun(static_cast<pid_t>(notification.pid), call);
  listener_.continue_call(notification.id);
}

void Dispatcher::refuse(const seccomp_notif& notification, const Caller& caller, const MmCall& call,
                        const Verdict& verdict) {
  if (tree_options_.wants_sites) audit_.record(notification, caller, call);
  if (tree_options_.audits) {
    drop_seals(caller, call);
    calls_.begun(caller.task, call);
    return listener_.continue_call(notification.id);
  }
  if (verdict.kind == Verdict::Kind::answer) return listener_.answer(notification.id, verdict.value);
  if (AioRings::is_about(call)) {
    log(Level::warning, "pid ", caller.process.id, ": ", policy::name_of(call.call),
        " is refused, because it might unmap sealed memory; open=io_destroy allows it");
  }
  listener_.refuse(notification.id, call.call == policy::Call::io_setup ? ENOSYS : EPERM);
}

void Dispatcher::handle_start(const seccomp_notif& notification, const Caller& caller) {
  if (would_lose_library(proc_, caller) && listener_.still_waits(notification.id)) {
    log(Level::error, "pid ", caller.process.id,
        " is killed before it runs, because the library is required: the kernel has placed ",
        program_of(proc_, caller.process.id),
        " where a filter of an ancestor refuses changes; start it again, or use coverage=all");
    (void)kill(caller.process.id, SIGKILL);
  }
  listener_.continue_call(notification.id);
}

void Dispatcher::catch_up() {
  constexpr auto kAtMost = std::chrono::milliseconds(20);  // new notifications wait meanwhile
  const auto until = Clock::now() + kAtMost;
  events_.flush();
  for (const seccomp_notif& notification : control_.postponed()) {
    if (listener_.still_waits(notification.id)) handle(notification);
    if (Clock::now() >= until) break;
  }
  control_.forget_answered();
  control_.tidy();
  (void)aio_rings_.tidy();
}

void Dispatcher::idle() noexcept {
  try {
    catch_up();
    if (registry_.collect(true)) calls_.collect();
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
  constexpr int kMoment = 50;  // ms, in which a refused thread tells of its call site
  if (control_.busy() || aio_rings_.busy()) return 1;
  return events_.waiting() || holder_.has_some_to_let_go() ? kMoment : -1;
}

int Dispatcher::patience() const {
  constexpr int kMomentToCollect = 50;  // ms
  const int patience = patience_while_busy();
  return patience < 0 && registry_.wants_to_collect() ? kMomentToCollect : patience;
}

}  // namespace libmseal::supervisor
