#include "shim/supervisor/judge.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "policy/mm_call.h"
#include "policy/verdict.h"
#include "shim/common/machine.h"
#include "shim/supervisor/extent.h"
#include "shim/supervisor/process.h"

namespace libmseal::supervisor {
namespace {

using policy::Control;
using policy::MmCall;
using policy::Range;
using policy::Seal;
using policy::Verdict;
using policy::Way;

pid_t task_of(const seccomp_notif& notification) {
  return static_cast<pid_t>(notification.pid);
}

}  // namespace

void Judge::handle(const seccomp_notif& notification) {
  const policy::Machine machine = shim::this_machine();
  const policy::Abi* const abi = policy::find_abi(machine, notification.data.arch);
  if (abi == nullptr) return listener_.refuse(notification.id, ENOSYS);
  policy::Arguments arguments;
  std::ranges::copy(notification.data.args, arguments.begin());
  const MmCall call = decode(machine, *abi, static_cast<std::uint32_t>(notification.data.nr), arguments);
  if (call.effect == MmCall::Effect::seal) {
    return handle_mseal(notification, arguments, abi == machine.abis.data());
  }
  handle_call(notification, call);
}

void Judge::handle_mseal(const seccomp_notif& notification, const policy::Arguments& arguments, bool native) {
  bool malformed = false;
  const auto message =
      native ? policy::decode_control(shim::this_machine(), arguments, malformed) : std::nullopt;
  if (malformed) {
    spdlog::warn("pid {}: malformed control message, flags {:#x}", notification.pid, arguments[2]);
    return listener_.refuse(notification.id, EINVAL);
  }
  // mseal past the library, by a raw system call: on this kernel there is none.
  if (!message) return listener_.refuse(notification.id, ENOSYS);
  handle_control(notification, *message);
}

void Judge::handle_hello(const seccomp_notif& notification, const MmIdentity& identity) {
  const Process process = process_of(task_of(notification));
  if (!listener_.still_waits(notification.id)) return;
  const Domain& domain = domains_.find_or_make(identity, process);
  const int given = listener_.give_descriptor(notification.id, domain.table->descriptor());
  spdlog::info("pid {}: joined, {} seals, {} fences", process.id, domain.table->seals().size(),
               domain.table->fences().size());
  if (given < 0) return listener_.refuse(notification.id, EMFILE);
  listener_.answer(notification.id, given);
}

bool Judge::in_hull(const Range& range) const {
  return std::ranges::any_of(hull_, [&](const Range& one) { return one.contains(range); });
}

std::int64_t Judge::way_for(Domain& domain, const Process& process, const Range& range) {
  const auto everybodys_or_own = [mark = domains_.join(domain, process)](const Seal& seal) {
    return seal.owner == 0 || seal.owner == mark;
  };
  if (policy::coverage(domain.table->seals(), range, everybodys_or_own) == policy::Coverage::fully) {
    return static_cast<std::int64_t>(Way::sealed);
  }
  if (domain.shares_memory) return -EAGAIN;
  const bool hull = in_hull(range) && !Domains::has_others(domain, process);
  return static_cast<std::int64_t>(hull ? Way::hull : Way::filter);
}

void Judge::handle_control(const seccomp_notif& notification, const Control& message) {
  const MmIdentity identity = identity_of(task_of(notification));
  const Process process = process_of(task_of(notification));
  if (!listener_.still_waits(notification.id)) return;
  if (!identity.readable()) return listener_.refuse(notification.id, EPERM);
  if (message.kind == Control::Kind::hello) return handle_hello(notification, identity);

  Domain* const domain = domains_.find(identity);
  if (domain == nullptr) return listener_.refuse(notification.id, ESRCH);
  const std::uint32_t mark = domains_.join(*domain, process);
  std::int64_t answer = 0;
  Seal seal = message.seal;
  switch (message.kind) {
    case Control::Kind::prepare:
      answer = way_for(*domain, process, seal.range);
      break;
    case Control::Kind::add_to_hull:
      // Refusing here refuses for every process of the domain, so there must be one only.
      if (!in_hull(seal.range) || Domains::has_others(*domain, process)) {
        answer = -EAGAIN;
      } else if (!domain->table->add(seal)) {
        answer = -ENOMEM;
      }
      break;
    case Control::Kind::add_filtered:
      seal.owner = mark;
      domain->filtered.push_back(seal.range);
      if (!domain->table->add(seal)) answer = -ENOMEM;
      break;
    case Control::Kind::hello:
      break;
  }
  spdlog::info("pid {}: {} [{:#x}, {:#x}): {}", process.id,
               message.kind == Control::Kind::prepare ? "asks to seal" : "sealed", seal.range.start,
               seal.range.end, answer);
  if (answer < 0) return listener_.refuse(notification.id, static_cast<int>(-answer));
  listener_.answer(notification.id, answer);
}

std::span<const Seal> Judge::seals_for(const MmCall& call, const Domain& domain) {
  const std::span<const Seal> all = domain.table->seals();
  if (call.hidden != MmCall::Hidden::none || call.rare) return all;
  everybodys_.clear();
  std::ranges::copy_if(all, std::back_inserter(everybodys_),
                       [](const Seal& seal) { return seal.owner == 0; });
  return everybodys_;
}

void Judge::handle_call(const seccomp_notif& notification, MmCall call) {
  const pid_t task = task_of(notification);
  const MmIdentity identity = identity_of(task);
  if (!listener_.still_waits(notification.id)) return;
  if (!identity.readable()) {
    spdlog::warn("pid {}: system call {} refused: the process can't be looked at", task,
                 notification.data.nr);
    return listener_.refuse(notification.id, EPERM);
  }
  Domain* const domain = domains_.find(identity);
  if (domain == nullptr)
    return listener_.let_through(notification.id);  // another image: nothing of it is sealed
  if (call.effect == MmCall::Effect::share_memory) {
    domain->shares_memory = true;
    return listener_.let_through(notification.id);
  }
  if (call.hidden != MmCall::Hidden::none) {
    resolve_extent(task, call);
    if (!listener_.still_waits(notification.id)) return;
  }
  const Verdict verdict = policy::decide(call, seals_for(call, *domain), {});
  spdlog::debug("pid {}: system call {} on [{:#x}, {:#x}): {}", task, notification.data.nr,
                call.ranges[0].start, call.ranges[0].end,
                verdict == policy::kAllow ? "let through" : "refused");
  switch (verdict.kind) {
    case Verdict::Kind::allow:
      return listener_.let_through(notification.id);
    case Verdict::Kind::refuse:
      spdlog::info("pid {}: refused system call {} on [{:#x}, {:#x})", task, notification.data.nr,
                   call.ranges[0].start, call.ranges[0].end);
      return listener_.refuse(notification.id, EPERM);
    case Verdict::Kind::answer:
      return listener_.answer(notification.id, verdict.value);
  }
}

}  // namespace libmseal::supervisor
