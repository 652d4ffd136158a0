#include "shim/supervisor/events/event_log.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "shim/common/machine.h"
#include "shim/supervisor/events/log.h"
#include "shim/supervisor/events/text.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/image.h"

namespace libmseal::supervisor {
namespace {

// A thread announces a call and then makes it. If there are more, threads have ended in between.
constexpr std::size_t kMostAnnounced = 4096;

// Rows of maps, for all programs of the tree: some 8 MiB.
constexpr std::size_t kMostRows = 65'536;
// Rows for one program.
constexpr std::size_t kMostRowsOfOne = 4096;

std::string call_name(std::uint64_t number) {
  for (const policy::CallNumber& entry : shim::this_machine().abis[0].calls) {
    if (entry.number == number) return std::string(policy::name_of(entry.call));
  }
  return std::to_string(number);
}

}  // namespace

EventLog::EventLog(Proc& proc, const policy::Options& options)
    : proc_(proc),
      path_(options.events),
      tree_(text(getpid(), "-", std::time(nullptr))),
      rows_left_(kMostRows),
      limited_(!options.audit) {
  if (!path_.empty()) error_ = lines_.open(path_);
  if (error_ != 0)
    log(Level::error, "events=", path_, ": ", std::strerror(error_), "; refusals are only in the log");
}

EventLog::~EventLog() {
  try {
    flush_pending();
    report_all_missing();
    if (const auto lost = lines_.take_lost(); lost != 0)
      log(Level::error, "events=", path_, ": ", lost, " events were lost");
  } catch (...) {  // NOLINT(bugprone-empty-catch): no memory left to report it
  }
}

bool EventLog::admits(pid_t thread, std::uint64_t number) noexcept {
  if (!limited_ || limit_.admits()) return true;
  ++suppressed_;
  not_admitted_ = {thread, number};
  return false;
}

void EventLog::record(Event event) {
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

void EventLog::record_site(const Caller& caller, const policy::Control& message) {
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
    event.process = caller.process.id;
    event.thread = thread;
    event.program = program_of(proc_, event.process);
    event.refused = true;
    event.call = call_name(message.number);
    event.number = message.number;
    event.arguments = {message.seal.range.start, message.seal.range.size(), message.third_argument};
    event.range = message.seal.range;
    std::vector<Place> places = places_in(proc_, thread, {message.seal.range.start, message.site});
    event.sealed = std::move(places[0]);
    event.site = std::move(places[1]);
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
  if (failed != 0 && !failing_)
    log(Level::error, "events=", path_, ": ", std::strerror(failed), "; events are being lost");
  if (failed == 0 && failing_) {
    const auto lost = lines_.take_lost();
    log(Level::error, "events=", path_, ": ", lost, " events were lost");
    (void)lines_.write(lost_events_to_json(lost, "the file could not be written") + "\n");
  }
  failing_ = failed != 0;
}

void EventLog::write(const Event& event) {
  if (suppressed_ + failed_ != 0 && Clock::now() - reported_ >= std::chrono::seconds(1)) report_all_missing();
  write_refusal_to_log(to_text(event));
  if (!lines_.is_open()) return;
  write_line(to_json(event));
  for (const std::string& line : event.maps) {
    if (failing_ || lines_.write(line + "\n", false) != 0) return;
  }
}

}  // namespace libmseal::supervisor
