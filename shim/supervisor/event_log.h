// Where refusals are recorded: the log, and a file of JSON lines.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "policy/configuration/options.h"
#include "policy/protocol/control.h"
#include "shim/supervisor/caller.h"
#include "shim/supervisor/event.h"
#include "shim/supervisor/line_file.h"
#include "shim/supervisor/refusal_limit.h"

namespace libmseal::supervisor {

class EventLog {
 public:
  using Clock = std::chrono::steady_clock;

  EventLog(Proc& proc, const policy::Options& options);
  // Tells of what was not written, and not told yet.
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // errno of opening the file of events; 0: it is open, or there is none.
  [[nodiscard]] int error() const { return error_; }

  // Whether the thread's refusal is to be recorded. If not, it is counted and needs no look at the process.
  [[nodiscard]] bool admits(pid_t thread, std::uint64_t number) noexcept;
  // The refusal just admitted could not be recorded after all.
  void note_failure() noexcept { ++failed_; }

  // Where the time is counted that looks at processes take.
  [[nodiscard]] RefusalLimit& limit() { return limit_; }

  // A refusal, complete but perhaps for its call site: that is known beforehand (announced, in audit mode) or
  // told by the thread as soon as it sees the refusal.
  void record(Event event);
  // What a thread says of its call: of one to come, of the latest refusal, or of one that a filter refused
  // without our knowing. Whether more is to be done with it than to count it: then `told` is to follow.
  [[nodiscard]] bool wants(pid_t thread, const policy::Control& message) noexcept;
  void told(const Caller& caller, const policy::Control& message);
  // Names the image that calls, and adds what is mapped in it if this is its first event.
  void add_image(Event& event, const Caller& caller);

  // Whether there is something to be written when nothing else is to do.
  [[nodiscard]] bool waiting() const { return pending_.has_value() || suppressed_ != 0 || failed_ != 0; }
  // Writes it: a refusal that waits for its call site as it is, and how many are missing.
  void flush();

 private:
  void write(const Event& event);
  void flush_pending();
  void write_line(const std::string& line);
  void tell_of_missing(unsigned long& count, const char* why);
  void tell_of_all_missing();

  struct Site {
    std::uint64_t number = 0;
    std::uint64_t address = 0;
  };
  struct Call {
    pid_t thread = 0;
    std::uint64_t number = 0;
    bool operator==(const Call&) const = default;
  };

  [[nodiscard]] bool is_pending(const Call& call) const;

  Proc& proc_;
  std::string path_;
  std::string tree_;          // names it in the file, to which other supervisors may write
  std::uint32_t images_ = 0;  // that have a number
  std::size_t rows_left_;     // of maps
  LineFile lines_;
  int error_ = 0;
  bool failing_ = false;  // the last line did not get into the file
  bool limited_;
  std::optional<Event> pending_;
  std::map<pid_t, Site> announced_;

  RefusalLimit limit_;
  std::optional<Call> not_admitted_;  // the latest that was not, which its thread may yet tell of
  Clock::time_point told_{};          // when it was last said how many are missing
  unsigned long suppressed_ = 0;
  unsigned long failed_ = 0;
};

}  // namespace libmseal::supervisor
