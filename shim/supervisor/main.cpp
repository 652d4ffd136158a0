// mseal-supervisor: answers the seccomp notifications of one process tree, as long as the tree lives.
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>

#include "policy/options.h"
#include "policy/tree_rules.h"
#include "shim/supervisor/domain.h"
#include "shim/supervisor/handover.h"
#include "shim/supervisor/judge.h"
#include "shim/supervisor/listener.h"

namespace libmseal::supervisor {
namespace {

void open_log(const policy::Options& options) {
  std::shared_ptr<spdlog::logger> logger;
  if (options.log.empty() || options.log == "syslog") {
    logger = spdlog::syslog_logger_mt("mseal-supervisor", "mseal-supervisor", LOG_PID, LOG_USER);
    logger->set_level(spdlog::level::warn);
  } else if (options.log == "stderr") {
    logger = spdlog::stderr_logger_mt("mseal");
    logger->set_level(options.verbose ? spdlog::level::debug : spdlog::level::warn);
    logger->set_pattern("mseal: %v");
  } else {
    logger = spdlog::basic_logger_mt("mseal-supervisor", std::string(options.log));
    logger->set_level(options.verbose ? spdlog::level::debug : spdlog::level::info);
    logger->flush_on(spdlog::level::info);
  }
  spdlog::set_default_logger(logger);
}

// The log is a convenience: a path that can't be written is no reason to leave a program without its
// supervisor.
void try_open_log(const policy::Options& options) {
  try {
    open_log(options);
  } catch (const std::exception& error) {
    open_log({});
    spdlog::warn("log={}: {}", options.log, error.what());
  }
}

// Two descriptors an image, and trees are large.
void allow_many_files() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

int serve() {
  // Nobody may look into this process or attach to it: it holds the power to let calls through.
  prctl(PR_SET_DUMPABLE, 0);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM}) {
    std::signal(signal,
                SIG_IGN);  // it ends with the tree; earlier, the tree's refused calls would turn to ENOSYS
  }
  allow_many_files();
  auto table = std::make_unique<TableFile>();
  auto handover = receive_handover(table->descriptor());
  if (!handover) return EXIT_FAILURE;
  policy::Options options;
  policy::parse_options(handover->options, options, [](const policy::OptionError&) {});
  try_open_log(options);

  const bool unseen_forks = options.audit || (options.open_doors & policy::kDoorClone3) != 0;
  Domains domains(handover->arena, policy::tree_rules(options), unseen_forks);
  bool recorded = true;
  for (const policy::Seal& seal : handover->seals) recorded = recorded && table->add(seal);
  const Image image = image_of(handover->process);
  if (image.memory.readable()) domains.adopt(image, std::move(table));
  spdlog::info("supervisor {} serves pid {}: {} seals, {} ranges in the hull", getpid(), handover->process,
               handover->seals.size(), handover->hull.size());

  acknowledge(recorded ? 0 : -ENOMEM);

  Listener listener(handover->listener);
  Judge judge(listener, domains, std::move(handover->hull), options);
  seccomp_notif notification;
  while (true) {
    constexpr int kMoment = 50;  // ms in which a refused thread tells of its call site
    switch (listener.next(notification, judge.has_work_for_later() ? kMoment : -1)) {
      case Listener::Event::notification:
        judge.handle(notification);
        break;
      case Listener::Event::nothing:
        judge.idle();
        break;
      case Listener::Event::hang_up:
        judge.idle();
        spdlog::info("no process is left");
        return EXIT_SUCCESS;
    }
  }
}

}  // namespace
}  // namespace libmseal::supervisor

int main() {
  using namespace libmseal::supervisor;
  if (!started_by_shim()) {
    std::fputs("mseal-supervisor is started by libmseal.so: run LD_PRELOAD=libmseal.so PROGRAM\n", stderr);
    return 2;
  }
  try {
    return serve();
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    return EXIT_FAILURE;
  }
}
