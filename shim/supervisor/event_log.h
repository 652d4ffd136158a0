// Where refusals are recorded: the log, and a file of JSON lines.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "policy/control.h"
#include "policy/options.h"
#include "shim/supervisor/event.h"
#include "shim/supervisor/line_file.h"

namespace libmseal::supervisor {

class EventLog {
 public:
  explicit EventLog(const policy::Options& options);
  // Tells of what was not written, and not told yet.
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // errno of opening the file of events; 0: it is open, or there is none.
  [[nodiscard]] int error() const { return error_; }

  // A refusal, complete but perhaps for its call site: that is known beforehand (announced, in audit mode) or
  // told by the thread as soon as it sees the refusal.
  void record(Event event);
  // What a thread says of its call: of one to come, of the latest refusal, or of one that a filter refused
  // without our knowing.
  void told(pid_t process, pid_t thread, const policy::Control& message);

  // Whether a refusal waits for its call site.
  [[nodiscard]] bool waiting() const { return pending_.has_value(); }
  // Writes it as it is.
  void flush();

 private:
  void write(const Event& event);
  bool within_rate();
  void write_line(const std::string& line);
  void tell_of_suppressed();

  struct Site {
    std::uint64_t number = 0;
    std::uint64_t address = 0;
  };

  std::string path_;
  LineFile lines_;
  int error_ = 0;
  bool failing_ = false;  // the last line did not get into the file
  bool limited_;
  std::optional<Event> pending_;
  std::map<pid_t, Site> announced_;

  std::chrono::steady_clock::time_point second_{};
  unsigned in_second_ = 0;
  unsigned long suppressed_ = 0;
};

}  // namespace libmseal::supervisor
