#include "shim/supervisor/event_log.h"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "shim/common/machine.h"
#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {
namespace {

// Of refusals in enforce mode: a program that tries in a loop must not fill the disk.
constexpr unsigned kMostPerSecond = 50;

std::string call_name(std::uint64_t number) {
  for (const policy::CallNumber& entry : shim::this_machine().abis[0].calls) {
    if (entry.number == number) return std::string(policy::name_of(entry.call));
  }
  return std::to_string(number);
}

}  // namespace

EventLog::EventLog(const policy::Options& options) : path_(options.events), limited_(!options.audit) {
  if (!path_.empty()) error_ = lines_.open(path_);
  if (error_ != 0)
    spdlog::error("events={}: {}; refusals are in the log alone", path_, std::strerror(error_));
}

EventLog::~EventLog() {
  flush();
  tell_of_suppressed();
  if (const auto lost = lines_.take_lost(); lost != 0)
    spdlog::error("events={}: {} events were lost", path_, lost);
}

void EventLog::record(Event event) {
  flush();
  const auto announced = announced_.find(event.thread);
  if (announced != announced_.end()) {
    if (announced->second.number == event.number)
      event.site = place_in(event.thread, announced->second.address);
    announced_.erase(announced);
    return write(event);
  }
  pending_ = std::move(event);
}

void EventLog::told(pid_t process, pid_t thread, const policy::Control& message) {
  if (!message.refused) {
    flush();
    announced_[thread] = {message.number, message.site};
    return;
  }
  Event event;
  if (pending_ && pending_->thread == thread && pending_->number == message.number) {
    event = *std::exchange(pending_, std::nullopt);
  } else {
    event.process = process;
    event.thread = thread;
    event.program = program_of(process);
    event.refused = true;
    event.call = call_name(message.number);
    event.number = message.number;
    event.arguments = {message.seal.range.start, message.seal.range.size()};
    event.range = message.seal.range;
    event.sealed = place_in(thread, message.seal.range.start);
  }
  event.site = place_in(thread, message.site);
  flush();
  write(event);
}

void EventLog::flush() {
  if (pending_) write(*std::exchange(pending_, std::nullopt));
}

bool EventLog::within_rate() {
  if (!limited_) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    in_second_ = 0;
    tell_of_suppressed();
  }
  if (++in_second_ <= kMostPerSecond) return true;
  ++suppressed_;
  return false;
}

void EventLog::tell_of_suppressed() {
  if (suppressed_ == 0) return;
  spdlog::warn("{} more refusals are not recorded: too many a second", suppressed_);
  if (lines_.is_open()) write_line(lost_events_to_json(suppressed_, "too many a second"));
  suppressed_ = 0;
}

void EventLog::write_line(const std::string& line) {
  const int failed = lines_.write(line + "\n");
  if (failed != 0 && !failing_)
    spdlog::error("events={}: {}; events are being lost", path_, std::strerror(failed));
  if (failed == 0 && failing_) {
    const auto lost = lines_.take_lost();
    spdlog::error("events={}: {} events were lost", path_, lost);
    (void)lines_.write(lost_events_to_json(lost, "the file could not be written") + "\n");
  }
  failing_ = failed != 0;
}

void EventLog::write(const Event& event) {
  if (!within_rate()) return;
  spdlog::warn("{}", to_text(event));
  if (lines_.is_open()) write_line(to_json(event));
}

}  // namespace libmseal::supervisor
