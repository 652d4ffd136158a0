// Records refusals and, in an audit, calls that would be refused: in the log, and in a file of JSON lines.
#pragma once

#include <linux/seccomp.h>
#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "policy/configuration/options.h"
#include "policy/protocol/control.h"
#include "policy/rules/mm_call.h"
#include "shim/common/no_copy.h"
#include "shim/supervisor/events/event.h"
#include "shim/supervisor/events/line_file.h"
#include "shim/supervisor/events/refusal_limit.h"
#include "shim/supervisor/registry/caller.h"

namespace libmseal::supervisor {

class Registry;

// If a call can't be recorded, it is counted; the verdict does not change.
class EventLog : shim::NoCopy {
 public:
  using Clock = std::chrono::steady_clock;

  EventLog(Proc& proc, const policy::Options& options);
  // Says how many events were not written.
  ~EventLog();

  // errno of opening the file of events; 0: it is open, or there is none.
  [[nodiscard]] int error() const { return error_; }

  // Adds `count` to the refusals that are only counted.
  void note_suppressed(std::uint32_t count) noexcept { suppressed_ += count; }

  // A call that is, or would be, refused because of a seal. Its thread sends the call site before the call
  // (in audit mode), or as soon as it sees the refusal.
  void record(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call) noexcept;
  // A blocked call, which only an audit allows.
  void record_blocked_call(const seccomp_notif& notification, Registry& registry) noexcept;
  // Takes a call site: of the thread's next call, of its latest refusal, or of a call that a filter has
  // refused. True if record_site() is to be called; otherwise it is only counted.
  [[nodiscard]] bool accept_site(pid_t thread, const policy::Control& message) noexcept;
  void record_site(const Caller& caller, const policy::Control& message) noexcept;

  // Whether flush() has something to write.
  [[nodiscard]] bool waiting() const { return pending_.has_value() || suppressed_ != 0 || failed_ != 0; }
  // Writes a refusal that waits for its call site without that, and how many refusals are missing.
  void flush();

 private:
  // Whether the thread's refusal is to be recorded. If not, it is counted, and the process is not inspected.
  [[nodiscard]] bool admits(pid_t thread, std::uint64_t number) noexcept;
  void take(Event event);
  void take_site(const Caller& caller, const policy::Control& message);
  void add_places(Event& event, const Caller& caller, std::uint64_t sealed, std::uint64_t site);
  void add_image(Event& event, const Caller& caller);
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
  std::uint64_t lost_ = 0;  // lines since the last one that could be written
  bool audits_;
  std::optional<Event> pending_;
  std::map<pid_t, Site> announced_;

  RefusalLimit limit_;                // also of the time spent on inspecting processes
  std::optional<Call> not_admitted_;  // the latest one; its thread may still send the call site
  Clock::time_point reported_{};      // when the number of missing refusals was last written
  unsigned long suppressed_ = 0;
  unsigned long failed_ = 0;
};

}  // namespace libmseal::supervisor
