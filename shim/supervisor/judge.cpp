#include "shim/supervisor/judge.h"

#include <asm/unistd.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "policy/mm_call.h"
#include "policy/verdict.h"
#include "shim/common/machine.h"
#include "shim/supervisor/extent.h"
#include "shim/supervisor/mseal_server.h"
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
  calls_.ended(task_of(notification));
  if (domains_.collect()) calls_.collect();
  const policy::Machine machine = shim::this_machine();
  const policy::Abi* const abi = policy::find_abi(machine, notification.data.arch);
  if (abi == nullptr) return listener_.refuse(notification.id, ENOSYS);
  policy::Arguments arguments;
  std::ranges::copy(notification.data.args, arguments.begin());
  const MmCall call = decode(machine, *abi, static_cast<std::uint32_t>(notification.data.nr), arguments);
  if (find_call(*abi, static_cast<std::uint32_t>(notification.data.nr)) == nullptr)
    return handle_door(notification);
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
  if (message) return handle_control(notification, *message);
  if (rules_.covers_all) return handle_raw_mseal(notification, arguments);
  // Past the library, by a raw system call: on this kernel there is none.
  listener_.refuse(notification.id, ENOSYS);
}

void Judge::handle_raw_mseal(const seccomp_notif& notification, const policy::Arguments& arguments) {
  const pid_t task = task_of(notification);
  const Image image = image_of(task);
  const Process& process = image.process;
  if (!listener_.still_waits(notification.id)) return;
  if (!image.memory.readable()) return listener_.refuse(notification.id, EPERM);
  Domain& domain = domains_.find_or_make(image);
  domains_.meet_newcomers(domain);
  const Member& member = domains_.join(domain, process);
  const auto shares = [&](pid_t other) {
    const auto found = domain.members.find(process_of(other));
    return found != domain.members.end() && found->second.seals == member.seals;
  };
  const auto add = [&](Seal seal, bool heap) {
    if (!member.seals->add(seal)) return false;
    member.seals->reaches_heap = member.seals->reaches_heap || heap;
    seal.owner = member.mark;
    return domain.table->add(seal);
  };
  const long result =
      serve_mseal(shim::this_machine(), arguments, {task, options_.discard, calls_, shares, add});
  spdlog::info("pid {}: mseal({:#x}, {:#x}, {:#x}): {}", process.id, arguments[0], arguments[1], arguments[2],
               result);
  if (result < 0) return listener_.refuse(notification.id, static_cast<int>(-result));
  listener_.answer(notification.id, result);
}

void Judge::handle_hello(const seccomp_notif& notification, const Image& image) {
  const Domain& domain = domains_.find_or_make(image);
  const int given = listener_.give_descriptor(notification.id, domain.table->descriptor());
  spdlog::info("pid {}: joined, {} seals, {} fences", image.process.id, domain.table->seals().size(),
               domain.table->fences().size());
  if (given < 0) return listener_.refuse(notification.id, EMFILE);
  listener_.answer(notification.id, given);
}

bool Judge::in_hull(const Range& range) const {
  return std::ranges::any_of(hull_, [&](const Range& one) { return one.contains(range); });
}

std::int64_t Judge::way_for(Domain& domain, const Process& process, const Range& range) {
  const Member& member = domains_.join(domain, process);
  if (rules_.covers_all) {
    const auto every = [](const Seal&) { return true; };
    const auto sealed = policy::coverage(member.seals->view(), range, every);
    return static_cast<std::int64_t>(sealed == policy::Coverage::fully ? Way::sealed : Way::hull);
  }
  const auto everybodys_or_own = [mark = member.mark](const Seal& seal) {
    return seal.owner == 0 || seal.owner == mark;
  };
  if (policy::coverage(domain.table->seals(), range, everybodys_or_own) == policy::Coverage::fully) {
    return static_cast<std::int64_t>(Way::sealed);
  }
  if (domain.shares_memory) return -EAGAIN;
  const bool hull = in_hull(range) && !domains_.has_others(domain, process);
  return static_cast<std::int64_t>(hull ? Way::hull : Way::filter);
}

void Judge::handle_control(const seccomp_notif& notification, const Control& message) {
  const Image image = image_of(task_of(notification));
  const Process& process = image.process;
  if (!listener_.still_waits(notification.id)) return;
  if (!image.memory.readable()) return listener_.refuse(notification.id, EPERM);
  if (message.kind == Control::Kind::hello) return handle_hello(notification, image);
  if (message.kind == Control::Kind::call_site) {
    events_.told(process.id, task_of(notification), message);
    return listener_.answer(notification.id, 0);
  }

  Domain* const domain = domains_.find(image);
  if (domain == nullptr) return listener_.refuse(notification.id, ESRCH);
  const std::int64_t answer = message.kind == Control::Kind::prepare
                                  ? way_for(*domain, process, message.seal.range)
                                  : add_seal(*domain, process, message);
  spdlog::info("pid {}: {} [{:#x}, {:#x}): {}", process.id,
               message.kind == Control::Kind::prepare ? "asks to seal" : "sealed", message.seal.range.start,
               message.seal.range.end, answer);
  if (answer < 0) return listener_.refuse(notification.id, static_cast<int>(-answer));
  listener_.answer(notification.id, answer);
}

std::int64_t Judge::add_seal(Domain& domain, const Process& process, const Control& message) {
  if (rules_.covers_all) domains_.meet_newcomers(domain);
  const Member& member = domains_.join(domain, process);
  Seal seal = message.seal;
  if (message.kind == Control::Kind::add_to_hull && !rules_.covers_all) {
    // Refusing here refuses for every process of the domain, so there must be one only.
    if (!in_hull(seal.range) || domains_.has_others(domain, process)) return -EAGAIN;
    return domain.table->add(seal) ? 0 : -ENOMEM;
  }
  if (rules_.covers_all && !member.seals->add(seal)) return -ENOMEM;
  if (message.kind == Control::Kind::add_filtered) domain.filtered.push_back(seal.range);
  seal.owner = member.mark;
  return domain.table->add(seal) ? 0 : -ENOMEM;
}

std::span<const Seal> Judge::seals_for(const MmCall& call, Domain& domain, const Process& process) {
  if (rules_.covers_all) return domains_.join(domain, process).seals->view();
  const std::span<const Seal> all = domain.table->seals();
  if (call.hidden != MmCall::Hidden::none || call.rare) return all;
  everybodys_.clear();
  std::ranges::copy_if(all, std::back_inserter(everybodys_),
                       [](const Seal& seal) { return seal.owner == 0; });
  return everybodys_;
}

namespace {

std::string door_name(int number) {
  switch (number) {
    case __NR_io_uring_setup:
      return "io_uring_setup";
    case __NR_process_madvise:
      return "process_madvise";
    case __NR_prctl:
      return "prctl(PR_SET_MM)";
#ifdef __x86_64__
    case __NR_arch_prctl:
      return "arch_prctl(ARCH_ENABLE_TAGGED_ADDR)";
#endif
    default:
      return std::to_string(number);
  }
}

// Where in the ranges of a call the first seal is; 0 if there is none.
std::uint64_t first_seal_in(std::span<const Seal> seals, const MmCall& call) {
  std::uint64_t first = 0;
  for (const Range& range : call.ranges) {
    policy::for_each_sealed_part(seals, range, [&](const Range& part, const Seal&) {
      if (first == 0) first = part.start;
      return false;
    });
  }
  return first;
}

}  // namespace

void Judge::handle_door(const seccomp_notif& notification) {
  Event event;
  event.process = status_of(task_of(notification)).thread_group;
  event.thread = task_of(notification);
  event.program = program_of(event.process);
  event.call = door_name(notification.data.nr);
  event.number = static_cast<std::uint64_t>(notification.data.nr);
  std::ranges::copy(notification.data.args, event.arguments.begin());
  event.sealed.object = "[door]";
  event.site = place_in(event.thread, notification.data.instruction_pointer);
  events_.record(std::move(event));
  listener_.let_through(notification.id);
}

void Judge::refuse(const seccomp_notif& notification, const Image& image, Domain& domain, const MmCall& call,
                   const Verdict& verdict, std::uint64_t sealed_at) {
  const pid_t task = task_of(notification);
  if (rules_.wants_sites) {
    Event event;
    event.process = image.process.id;
    event.thread = task;
    event.program = program_of(image.process.id);
    event.refused = !rules_.audits;
    event.call = policy::name_of(call.call);
    event.number = static_cast<std::uint64_t>(notification.data.nr);
    std::ranges::copy(notification.data.args, event.arguments.begin());
    event.range = call.ranges[0];
    event.sealed = place_in(task, sealed_at);
    event.site = place_in(task, notification.data.instruction_pointer);
    events_.record(std::move(event));
  }
  if (rules_.audits) {
    // The call has its way, so what it takes away is sealed no longer; or all that follows would be reported.
    SealSet& seals = *domains_.join(domain, image.process).seals;
    const bool changes_only = call.call == policy::Call::mprotect || call.effect != MmCall::Effect::modify;
    for (const Range& range : call.ranges) {
      if (!changes_only && !range.empty()) seals.drop(range);
    }
    calls_.begun(task, call);
    return listener_.let_through(notification.id);
  }
  if (verdict.kind == Verdict::Kind::answer) return listener_.answer(notification.id, verdict.value);
  listener_.refuse(notification.id, EPERM);
}

void Judge::handle_call(const seccomp_notif& notification, MmCall call) {
  const pid_t task = task_of(notification);
  const Image image = image_of(task);
  if (!listener_.still_waits(notification.id)) return;
  if (!image.memory.readable()) {
    spdlog::warn("pid {}: system call {} {}: the process can't be looked at", task, notification.data.nr,
                 rules_.audits ? "let through" : "refused");
    return rules_.audits ? listener_.let_through(notification.id) : listener_.refuse(notification.id, EPERM);
  }
  Domain* const domain = domains_.find(image);
  if (domain == nullptr)
    return listener_.let_through(notification.id);  // another image: nothing of it is sealed
  if (call.effect == MmCall::Effect::share_memory) {
    domain->shares_memory = !rules_.covers_all;  // there, seals are kept for each memory
    return listener_.let_through(notification.id);
  }
  Range refused_breaks;
  if (call.effect == MmCall::Effect::lower_break && rules_.covers_all) {
    const SealSet& seals = *domains_.join(*domain, image.process).seals;
    if (seals.reaches_heap) {
      refused_breaks = policy::refused_breaks(seals.view(), heap_of(task), shim::this_machine().page_size);
    }
  }
  if (call.hidden != MmCall::Hidden::none) resolve_extent(task, call);
  if (!listener_.still_waits(notification.id)) return;
  const std::span<const Seal> seals = seals_for(call, *domain, image.process);
  const Verdict verdict = policy::decide(call, seals, refused_breaks);
  spdlog::debug("pid {}: system call {} on [{:#x}, {:#x}): {}", task, notification.data.nr,
                call.ranges[0].start, call.ranges[0].end,
                verdict == policy::kAllow ? "let through" : "refused");
  if (verdict == policy::kAllow) {
    if (rules_.covers_all) calls_.begun(task, call);
    return listener_.let_through(notification.id);
  }
  const bool of_break = call.effect == MmCall::Effect::lower_break;
  refuse(notification, image, *domain, call, verdict,
         of_break ? refused_breaks.start : first_seal_in(seals, call));
}

}  // namespace libmseal::supervisor
