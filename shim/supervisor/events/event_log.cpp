#include "shim/supervisor/events/event_log.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <span>
#include <utility>

#include "policy/rules/blocked_call.h"
#include "shim/common/machine.h"
#include "shim/supervisor/events/format.h"
#include "shim/supervisor/events/log.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/image.h"
#include "shim/supervisor/registry/registry.h"

namespace libmseal::supervisor {
namespace {

// A thread announces a call and then makes it. If there are more, threads have ended in between.
constexpr std::size_t kMostAnnounced = 4096;

// Rows of maps, for all programs of the tree: some 8 MiB.
constexpr std::size_t kMostRows = 65'536;
// Rows for one program.
constexpr std::size_t kMostRowsOfOne = 4096;

std::string call_name(std::uint32_t number) {
  const policy::CallNumber* const known = policy::find_call(shim::this_machine().abis[0], number);
  return known != nullptr ? std::string(policy::name_of(known->call)) : std::to_string(number);
}

// The address of the first seal in the ranges of a call; the argument of shmdt if there is none.
std::uint64_t first_seal_in(std::span<const policy::Seal> seals, const policy::MmCall& call) {
  std::uint64_t first = 0;
  for (const policy::Range& range : {call.ranges[0], call.ranges[1], call.if_huge}) {
    policy::for_each_sealed_part(seals, range, [&](const policy::Range& part, const policy::Seal&) {
      if (first == 0) first = part.start;
      return false;
    });
  }
  return first != 0 ? first : call.argument;
}

Event event_of(Proc& proc, const Caller& caller) {
  Event event;
  event.process = caller.process.id;
  event.thread = caller.task;
  event.program = program_of(proc, caller.task);
  return event;
}

Event event_of(Proc& proc, const Caller& caller, const seccomp_data& call) {
  Event event = event_of(proc, caller);
  event.number = static_cast<std::uint64_t>(call.nr);
  std::ranges::copy(call.args, event.arguments.begin());
  return event;
}

}  // namespace

EventLog::EventLog(Proc& proc, const policy::Options& options)
    : proc_(proc),
      path_(options.events),
      tree_(text(getpid(), "-", std::time(nullptr))),
      rows_left_(kMostRows),
      audits_(options.audit) {
  if (!path_.empty()) error_ = lines_.open(path_);
  if (error_ != 0)
    log(Level::error, "events=", path_, ": ", std::strerror(error_), "; refusals are only in the log");
}

EventLog::~EventLog() {
  try {
    flush_pending();
    report_all_missing();
    if (lost_ != 0) log(Level::error, "events=", path_, ": ", lost_, " events were lost");
  } catch (...) {  // NOLINT(bugprone-empty-catch): no memory left to report it
  }
}

bool EventLog::admits(pid_t thread, std::uint64_t number) noexcept {
  if (audits_ || limit_.admits()) return true;
  ++suppressed_;
  not_admitted_ = {thread, number};
  return false;
}

void EventLog::record(const seccomp_notif& notification, const Caller& caller,
                      const policy::MmCall& call) noexcept {
  if (!admits(caller.task, static_cast<std::uint64_t>(notification.data.nr))) return;
  try {
    const RefusalLimit::Inspection inspection(limit_);
    Event event = event_of(proc_, caller, notification.data);
    event.refused = !audits_;
    event.call = policy::name_of(call.call);
    event.range = call.ranges[0];
    add_places(event, caller, first_seal_in(caller.record->seals(), call),
               notification.data.instruction_pointer);
    add_image(event, caller);
    take(std::move(event));
  } catch (...) {
    ++failed_;
  }
}

void EventLog::record_blocked_call(const seccomp_notif& notification, Registry& registry) noexcept {
  try {
    const Caller caller = registry.look_up(static_cast<pid_t>(notification.pid));
    const auto number = static_cast<std::uint32_t>(notification.data.nr);
    Event event = event_of(proc_, caller, notification.data);
    const policy::Abi* const abi = policy::find_abi(shim::this_machine(), notification.data.arch);
    if (abi != nullptr) event.call = policy::name_of_blocked_call(*abi, number, event.arguments);
    if (event.call.empty()) event.call = std::to_string(number);
    event.sealed.object = "[blocked call]";
    event.site = place_in(proc_, caller.task, notification.data.instruction_pointer);
    add_image(event, caller);
    take(std::move(event));
  } catch (...) {
    ++failed_;
  }
}

// The refusal may still lack its call site.
void EventLog::take(Event event) {
  flush_pending();
  const auto announced = announced_.find(event.thread);
  if (announced != announced_.end()) {
    if (announced->second.number == event.number)
      event.site = place_in(proc_, event.thread, announced->second.address);
    announced_.erase(announced);
    return write(event);
  }
  pending_ = std::move(event);
}

void EventLog::add_places(Event& event, const Caller& caller, std::uint64_t sealed, std::uint64_t site) {
  std::vector<Place> places = places_in(proc_, caller.task, {sealed, site});
  event.sealed = std::move(places[0]);
  event.site = std::move(places[1]);
}

// Adds the image of the caller and, for its first event, its mappings.
void EventLog::add_image(Event& event, const Caller& caller) {
  if (caller.image == nullptr || !lines_.is_open()) return;
  const bool is_first = caller.image->number == 0;
  if (is_first) caller.image->number = ++images_;
  event.image = text(tree_, "-", caller.image->number);
  if (!is_first || rows_left_ == 0) return;
  std::size_t rows = std::min(rows_left_, kMostRowsOfOne);
  rows_left_ -= rows;
  event.maps = maps_to_json(proc_, event, caller.record->seals(), rows);
  rows_left_ += rows;
}

bool EventLog::accept_site(pid_t thread, const policy::Control& message) noexcept {
  if (!message.refused) return true;
  const Call call{thread, message.number};
  if (std::exchange(not_admitted_, std::nullopt) == call) return false;  // it is counted
  if (is_pending(call) || admits(thread, message.number)) return true;
  not_admitted_.reset();
  return false;
}

bool EventLog::is_pending(const Call& call) const {
  return pending_ && Call{pending_->thread, pending_->number} == call;
}

void EventLog::record_site(const Caller& caller, const policy::Control& message) noexcept {
  try {
    take_site(caller, message);
  } catch (...) {
    ++failed_;
  }
}

void EventLog::take_site(const Caller& caller, const policy::Control& message) {
  const pid_t thread = caller.task;
  if (!message.refused) {
    flush_pending();
    if (announced_.size() >= kMostAnnounced) announced_.clear();
    announced_[thread] = {message.number, message.site};
    return;
  }
  const RefusalLimit::Inspection inspection(limit_);
  Event event;
  if (is_pending({thread, message.number})) {
    event = *std::exchange(pending_, std::nullopt);
    event.site = place_in(proc_, thread, message.site);
  } else {
    event = event_of(proc_, caller);
    event.refused = true;
    event.call = call_name(message.number);
    event.number = message.number;
    event.arguments = {message.seal.range.start, message.seal.range.size(), message.third_argument};
    event.range = message.seal.range;
    add_places(event, caller, message.seal.range.start, message.site);
    add_image(event, caller);
  }
  flush_pending();
  write(event);
}

void EventLog::flush_pending() {
  if (!pending_) return;
  try {
    write(*pending_);
  } catch (...) {
    ++failed_;
  }
  pending_.reset();
}

void EventLog::flush() {
  flush_pending();
  if (Clock::now() - reported_ >= std::chrono::seconds(1)) report_all_missing();
}

void EventLog::report_missing(unsigned long& count, const char* why) {
  if (count == 0) return;
  write_refusal_to_log(text(count, " more refusals are not recorded: ", why));
  if (lines_.is_open()) write_line(lost_events_to_json(count, why));
  count = 0;
}

void EventLog::report_all_missing() {
  reported_ = Clock::now();
  report_missing(suppressed_, "too many per second");
  report_missing(failed_, "no memory or no descriptor left");
}

void EventLog::write_line(const std::string& line) {
  const int failed = lines_.write(line + "\n");
  if (failed != 0) {
    if (lost_++ == 0)
      log(Level::error, "events=", path_, ": ", std::strerror(failed), "; events are being lost");
    return;
  }
  if (lost_ == 0) return;
  const std::uint64_t lost = std::exchange(lost_, 0);
  log(Level::error, "events=", path_, ": ", lost, " events were lost");
  if (lines_.write(lost_events_to_json(lost, "the file could not be written") + "\n") != 0) ++lost_;
}

void EventLog::write(const Event& event) {
  if (suppressed_ + failed_ != 0 && Clock::now() - reported_ >= std::chrono::seconds(1)) report_all_missing();
  write_refusal_to_log(to_text(event));
  if (!lines_.is_open()) return;
  write_line(to_json(event));
  for (const std::string& line : event.maps) {
    if (lost_ != 0 || lines_.write(line + "\n") != 0) return;
  }
}

}  // namespace libmseal::supervisor
