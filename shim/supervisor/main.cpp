// mseal-supervisor: answers the seccomp notifications of one process tree, as long as the tree lives.
#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <span>

#include "policy/options.h"
#include "policy/tree_rules.h"
#include "shim/supervisor/handover.h"
#include "shim/supervisor/judge.h"
#include "shim/supervisor/listener.h"
#include "shim/supervisor/policy_levels.h"
#include "shim/supervisor/proc.h"
#include "shim/supervisor/registry.h"

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

// Kept for a log on standard error alone: whoever waits for its end must not wait for this process.
void leave_standard_error() {
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDERR_FILENO);
  if (null >= 0) close(null);
}

// The program that has handed over, with the seals that are in force already: 0 or -errno.
int adopt_first_image(Registry& registry, const Handover& handover, std::unique_ptr<TableFile> table) {
  Caller caller = registry.look_up(handover.process);
  if (!caller.foreign()) return -EACCES;  // it was looked at a moment ago
  registry.make_image(caller, std::move(table));
  for (const policy::Seal& seal : handover.seals) {
    const bool watched = std::ranges::any_of(
        handover.watched, [&](const policy::Range& one) { return one.contains(seal.range); });
    if (const long error = registry.add(caller, seal, !watched, {}); error != 0) return static_cast<int>(error);
  }
  return 0;
}

int serve(std::span<const char* const> policy_paths) {
  // Nobody may look into this process or attach to it: it holds the power to let calls through.
  prctl(PR_SET_DUMPABLE, 0);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM}) {
    std::signal(signal,
                SIG_IGN);  // it ends with the tree; earlier, the tree's refused calls would turn to ENOSYS
  }
  allow_many_files();
  std::unique_ptr<Proc> proc;
  try {
    proc = open_proc(peer());
  } catch (const std::exception& error) {
    decline(error.what());
    return EXIT_FAILURE;
  }
  const PolicyLevels policies(policy_paths);
  auto table = std::make_unique<TableFile>();
  const std::string policy = policies.options_for(peer());
  table->set_policy(policy, policies.complaints());
  auto handover = receive_handover(table->descriptor());
  if (!handover) return EXIT_FAILURE;
  policy::Options options;
  const auto said_already = [](const policy::OptionError&) {};
  policy::parse_options(policy, options, said_already);
  policy::parse_options(handover->options, options, said_already);
  if (options.log != "stderr") leave_standard_error();
  try_open_log(options);

  Registry registry(*proc, handover->arena, policy::tree_rules(options));
  const int adopted = adopt_first_image(registry, *handover, std::move(table));
  spdlog::info("supervisor {} serves pid {}: {} seals, {} watched ranges", getpid(), handover->process,
               handover->seals.size(), handover->watched.size());
  acknowledge(adopted);

  Listener listener(handover->listener);
  Judge judge(listener, registry, policies, std::move(handover->watched), options);
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

int main(int count, char** arguments) {
  using namespace libmseal::supervisor;
  if (!started_by_shim()) {
    std::fputs("mseal-supervisor is started by libmseal.so: run LD_PRELOAD=libmseal.so PROGRAM\n", stderr);
    return 2;
  }
  try {
    return serve(std::span<const char* const>(arguments + 1, static_cast<std::size_t>(count - 1)));
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    return EXIT_FAILURE;
  }
}
