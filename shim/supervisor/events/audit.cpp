#include "shim/supervisor/events/audit.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "policy/rules/blocked_call.h"
#include "shim/common/machine.h"
#include "shim/supervisor/events/event.h"
#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {

using policy::MmCall;
using policy::Range;
using policy::Seal;

namespace {

// The address of the first seal in the ranges of a call; the argument of shmdt if there is none.
std::uint64_t first_seal_in(std::span<const Seal> seals, const MmCall& call) {
  std::uint64_t first = 0;
  for (const Range& range : {call.ranges[0], call.ranges[1], call.if_huge}) {
    policy::for_each_sealed_part(seals, range, [&](const Range& part, const Seal&) {
      if (first == 0) first = part.start;
      return false;
    });
  }
  return first != 0 ? first : call.argument;
}

Event event_of(Proc& proc, const seccomp_notif& notification, pid_t process) {
  Event event;
  event.process = process;
  event.thread = static_cast<pid_t>(notification.pid);
  event.program = program_of(proc, event.thread);
  event.number = static_cast<std::uint64_t>(notification.data.nr);
  std::ranges::copy(notification.data.args, event.arguments.begin());
  return event;
}

}  // namespace

void Audit::record(const seccomp_notif& notification, const Caller& caller, const MmCall& call) noexcept {
  if (!events_.admits(caller.task, static_cast<std::uint64_t>(notification.data.nr))) return;
  try {
    const RefusalLimit::Inspection inspection(events_.limit());
    Event event = event_of(proc_, notification, caller.process.id);
    event.refused = !tree_options_.audits;
    event.call = policy::name_of(call.call);
    event.range = call.ranges[0];
    std::vector<Place> places =
        places_in(proc_, caller.task,
                  {first_seal_in(caller.record->seals(), call), notification.data.instruction_pointer});
    event.sealed = std::move(places[0]);
    event.site = std::move(places[1]);
    events_.add_image(event, caller);
    events_.record(std::move(event));
  } catch (...) {
    events_.note_failure();
  }
}

void Audit::record_blocked_call(const seccomp_notif& notification, Registry& registry) noexcept {
  try {
    const auto task = static_cast<pid_t>(notification.pid);
    const Caller caller = registry.look_up(task);
    const auto number = static_cast<std::uint32_t>(notification.data.nr);
    Event event = event_of(proc_, notification, caller.process.id);
    const policy::Abi* const abi = policy::find_abi(shim::this_machine(), notification.data.arch);
    if (abi != nullptr) event.call = policy::name_of_blocked_call(*abi, number, event.arguments);
    if (event.call.empty()) event.call = std::to_string(number);
    event.sealed.object = "[blocked call]";
    event.site = place_in(proc_, task, notification.data.instruction_pointer);
    events_.add_image(event, caller);
    events_.record(std::move(event));
  } catch (...) {
    events_.note_failure();
  }
}

void drop_seals(const Caller& caller, const MmCall& call) {
  const bool changes_only = call.call == policy::Call::mprotect || call.effect != MmCall::Effect::modify;
  for (const Range& range : call.ranges) {
    if (!changes_only && !range.empty()) caller.record->drop(range);
  }
}

}  // namespace libmseal::supervisor
