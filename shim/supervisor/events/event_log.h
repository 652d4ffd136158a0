// Where refusals are recorded: the log, and a file of JSON lines.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "policy/configuration/options.h"
#include "policy/protocol/control.h"
#include "shim/common/no_copy.h"
#include "shim/supervisor/events/event.h"
#include "shim/supervisor/events/line_file.h"
#include "shim/supervisor/events/refusal_limit.h"
#include "shim/supervisor/registry/caller.h"

namespace libmseal::supervisor {

class EventLog : shim::NoCopy {
 public:
  using Clock = std::chrono::steady_clock;

  EventLog(Proc& proc, const policy::Options& options);
  // Says how many events were not written.
  ~EventLog();

  // errno of opening the file of events; 0: it is open, or there is none.
  [[nodiscard]] int error() const { return error_; }

  // Whether the thread's refusal is to be recorded. If not, it is counted, and the process is not inspected.
  [[nodiscard]] bool admits(pid_t thread, std::uint64_t number) noexcept;
  // Adds `count` to the refusals that are only counted.
  void note_suppressed(std::uint32_t count) noexcept { suppressed_ += count; }
  // The refusal just admitted could not be recorded after all.
  void note_failure() noexcept { ++failed_; }

  // Limits the time spent on inspecting processes for refusals.
  [[nodiscard]] RefusalLimit& limit() { return limit_; }

  // Records a refusal, perhaps without its call site. The thread sends that before the call (in audit mode),
  // or as soon as it sees the refusal.
  void record(Event event);
  // Takes a call site: of the thread's next call, of its latest refusal, or of a call that a filter has
  // refused. True if record_site() is to be called; otherwise it is only counted.
  [[nodiscard]] bool accept_site(pid_t thread, const policy::Control& message) noexcept;
  void record_site(const Caller& caller, const policy::Control& message);
  // Adds the image of the caller and, for its first event, its mappings.
  void add_image(Event& event, const Caller& caller);

  // Whether flush() has something to write.
  [[nodiscard]] bool waiting() const { return pending_.has_value() || suppressed_ != 0 || failed_ != 0; }
  // Writes a refusal that waits for its call site without that, and how many refusals are missing.
  void flush();

 private:
  void write(const Event& event);
  void flush_pending();
  void write_line(const std::string& line);
  void report_missing(unsigned long& count, const char* why);
  void report_all_missing();

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
  std::string tree_;          // its ID in the file, to which other supervisors may write
  std::uint32_t images_ = 0;  // how many have a number
  std::size_t rows_left_;     // of maps
  LineFile lines_;
  int error_ = 0;
  bool failing_ = false;  // the last line could not be written
  bool limited_;
  std::optional<Event> pending_;
  std::map<pid_t, Site> announced_;

  RefusalLimit limit_;
  std::optional<Call> not_admitted_;  // the latest one; its thread may still send the call site
  Clock::time_point reported_{};      // when the number of missing refusals was last written
  unsigned long suppressed_ = 0;
  unsigned long failed_ = 0;
};

}  // namespace libmseal::supervisor
