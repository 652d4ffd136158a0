#include "shim/supervisor/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <syslog.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "shim/supervisor/line_file.h"

namespace libmseal::supervisor {
namespace {

// spdlog's own file sink waits for a pipe's reader, makes folders, and tells of a full disk on standard
// error, which this process has left.
class FileSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit FileSink(std::string path) : path_(std::move(path)), error_(file_.open(path_)) {}
  ~FileSink() override {
    if (const auto lost = file_.take_lost(); lost != 0) tell_of_lost(lost);
  }
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;
  [[nodiscard]] int error() const { return error_; }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    const int failed = file_.write({line.data(), line.size()});
    if (failed != 0 && !failing_)
      syslog(LOG_ERR, "log=%s: %s; lines are being lost", path_.c_str(), std::strerror(failed));
    if (failed == 0 && failing_) {
      const auto lost = file_.take_lost();
      tell_of_lost(lost);
      (void)file_.write(std::to_string(lost) + " lines were lost before this one\n");
    }
    failing_ = failed != 0;
  }
  void flush_() override {}

  void tell_of_lost(std::uint64_t lost) {
    syslog(LOG_ERR, "log=%s: %llu lines were lost", path_.c_str(), static_cast<unsigned long long>(lost));
  }

  std::string path_;
  LineFile file_;
  int error_;
  bool failing_ = false;
};

void use_syslog() {
  auto logger = spdlog::syslog_logger_mt("mseal-supervisor", "mseal-supervisor", LOG_PID, LOG_USER);
  logger->set_level(spdlog::level::warn);
  spdlog::set_default_logger(logger);
}

}  // namespace

int open_log(const policy::Options& options) {
  const auto debug_or = [&](spdlog::level::level_enum level) {
    return options.verbose ? spdlog::level::debug : level;
  };
  if (options.log == "stderr") {
    auto logger = spdlog::stderr_logger_mt("mseal");
    logger->set_level(debug_or(spdlog::level::warn));
    logger->set_pattern("mseal: %v");
    spdlog::set_default_logger(logger);
    return 0;
  }
  if (!options.log.empty() && options.log != "syslog") {
    auto sink = std::make_shared<FileSink>(std::string(options.log));
    if (sink->error() == 0) {
      auto logger = std::make_shared<spdlog::logger>("mseal-supervisor", sink);
      logger->set_level(debug_or(spdlog::level::info));
      spdlog::set_default_logger(logger);
      return 0;
    }
    use_syslog();
    return sink->error();
  }
  use_syslog();
  return 0;
}

}  // namespace libmseal::supervisor
