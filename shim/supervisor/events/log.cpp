#include "shim/supervisor/events/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <syslog.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "shim/common/printable.h"
#include "shim/supervisor/events/line_file.h"
#include "shim/supervisor/events/rate_limit.h"
#include "shim/supervisor/events/system_log.h"

namespace libmseal::supervisor {
namespace {

using Message = spdlog::details::log_msg;

// The base of our sinks. Lines never block, are never lost without being counted, contain no control
// characters, and are limited in number. spdlog's own sinks wait for a pipe's reader or the syslog daemon,
// create directories, and report a full disk on standard error.
class LineSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit LineSink(bool limited) : limited_(limited) {}

 protected:
  // Writes one line; `message` has its level. 0, or errno.
  virtual int put(const Message& message, std::string_view line) = 0;
  // Report elsewhere that lines are being lost, and how many were.
  virtual void report_loss(int why) = 0;
  virtual void report_lost(std::uint64_t lost) = 0;

  // To be called by the destructor of the derived class.
  void end() {
    reported_ = {};
    report_left_out();
    if (lost_ != 0) report_lost(std::exchange(lost_, 0));
  }

 private:
  void sink_it_(const Message& message) override {
    // Refusals have their own limit, and are marked with a source.
    if (limited_ && message.source.empty() && !rate_.admits()) {
      ++left_out_;
      return;
    }
    report_left_out();
    write(message);
  }

  void write(const Message& message) {
    const std::string text = shim::printable({message.payload.data(), message.payload.size()});
    Message shown = message;
    shown.payload = text;
    spdlog::memory_buf_t line;
    formatter_->format(shown, line);
    const int failed = put(shown, {line.data(), line.size()});
    if (failed != 0 && lost_++ == 0) report_loss(failed);
    if (failed != 0 || lost_ == 0) return;
    const std::uint64_t lost = std::exchange(lost_, 0);
    report_lost(lost);
    write_own(std::to_string(lost) + " lines were lost before this one");
  }

  void write_own(const std::string& text) {
    const Message message(spdlog::string_view_t("mseal-supervisor"), spdlog::level::warn, text);
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (put(message, {line.data(), line.size()}) != 0) ++lost_;
  }

  void report_left_out() {
    const auto now = std::chrono::steady_clock::now();
    if (left_out_ == 0 || now - reported_ < std::chrono::seconds(1)) return;
    reported_ = now;
    write_own(std::to_string(std::exchange(left_out_, 0)) + " lines were left out: too many per second");
  }

  void flush_() override {}

  bool limited_;
  std::uint64_t lost_ = 0;
  std::uint64_t left_out_ = 0;
  RateLimit rate_{1000};
  std::chrono::steady_clock::time_point reported_{};  // when the number of omitted lines was last written
};

int severity_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return LOG_CRIT;
    case spdlog::level::err:
      return LOG_ERR;
    case spdlog::level::warn:
      return LOG_WARNING;
    default:
      return LOG_INFO;
  }
}

class SystemSink final : public LineSink {
 public:
  explicit SystemSink(bool limited) : LineSink(limited) {}
  ~SystemSink() override { end(); }

 private:
  int put(const Message& message, std::string_view line) override {
    return log_.write(severity_of(message.level), line.substr(0, line.find('\n')));
  }
  void report_loss(int) override {}
  void report_lost(std::uint64_t) override {}

  SystemLog log_;
};

class FileSink final : public LineSink {
 public:
  // Standard error, if the path is empty.
  FileSink(std::string path, bool limited) : LineSink(limited), path_(std::move(path)) {
    error_ = path_.empty() ? file_.adopt(STDERR_FILENO) : file_.open(path_);
  }
  ~FileSink() override { end(); }
  [[nodiscard]] int error() const { return error_; }

 private:
  int put(const Message&, std::string_view line) override { return file_.write(line); }
  void report_loss(int why) override { tell(std::string(std::strerror(why)) + "; lines are being lost"); }
  void report_lost(std::uint64_t lost) override { tell(std::to_string(lost) + " lines were lost"); }

  void tell(const std::string& what) {
    SystemLog log;
    (void)log.write(LOG_ERR, shim::printable("log=" + (path_.empty() ? "stderr" : path_) + ": " + what));
  }

  std::string path_;
  LineFile file_;
  int error_ = 0;
};

void use(const std::shared_ptr<spdlog::sinks::sink>& sink, spdlog::level::level_enum level,
         const char* pattern) {
  auto logger = std::make_shared<spdlog::logger>("mseal-supervisor", sink);
  logger->set_level(level);
  logger->set_pattern(pattern);
  logger->set_error_handler([](const std::string&) {});  // spdlog's own would write to standard error
  spdlog::set_default_logger(logger);
}

spdlog::level::level_enum level_of(Level level) {
  return static_cast<spdlog::level::level_enum>(level);
}
static_assert(static_cast<int>(Level::debug) == spdlog::level::debug &&
              static_cast<int>(Level::critical) == spdlog::level::critical);

// Marks a line that LineSink does not limit in number.
constexpr spdlog::source_loc kRefusal{"refusal", 1, "refusal"};

}  // namespace

bool logs(Level level) {
  return spdlog::default_logger_raw()->should_log(level_of(level));
}

void write_to_log(Level level, const std::string& line) {
  spdlog::default_logger_raw()->log(level_of(level), spdlog::string_view_t(line));
}

void write_refusal_to_log(const std::string& line) {
  spdlog::default_logger_raw()->log(kRefusal, spdlog::level::warn, spdlog::string_view_t(line));
}

int open_log(const policy::Options& options) {
  // Every line matters for debugging and audits.
  const bool limited = !options.verbose && !options.audit;
  const auto level = [&](spdlog::level::level_enum usual) {
    return options.verbose ? spdlog::level::debug : usual;
  };
  const auto use_system_log = [&] { use(std::make_shared<SystemSink>(limited), spdlog::level::warn, "%v"); };
  if (options.log.empty() || options.log == "syslog") {
    use_system_log();
    return 0;
  }
  const bool to_stderr = options.log == "stderr";
  const auto sink = std::make_shared<FileSink>(to_stderr ? "" : std::string(options.log), limited);
  if (sink->error() != 0) {
    use_system_log();
    return sink->error();
  }
  use(sink, level(to_stderr ? spdlog::level::warn : spdlog::level::info),
      to_stderr ? "mseal: %v" : "[%Y-%m-%d %H:%M:%S.%e] [%n] [%l] %v");
  return 0;
}

}  // namespace libmseal::supervisor
