// mseal-supervisor: answers the seccomp notifications of one process tree, as long as the tree lives.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_options.h"
#include "policy/protocol/control.h"
#include "shim/common/standard_descriptors.h"
#include "shim/supervisor/dispatcher.h"
#include "shim/supervisor/events/log.h"
#include "shim/supervisor/handover.h"
#include "shim/supervisor/listeners/ptrace_listener.h"
#include "shim/supervisor/listeners/seccomp_listener.h"
#include "shim/supervisor/policy_files.h"
#include "shim/supervisor/process_limits.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/registry.h"
#include "shim/supervisor/shared_pipes.h"

namespace libmseal::supervisor {
namespace {

// Standard error is only kept for a log: a reader that waits for its end must not wait for this process.
void leave_standard_error() {
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDERR_FILENO);
  if (null >= 0) close(null);
}

// Registers the program that has handed over its listener, and its seals: 0 or -errno.
int adopt_first_image(Proc& proc, Registry& registry, const Handover& handover,
                      std::unique_ptr<TableFile> table) {
  Caller caller = registry.look_up(task_with_memory(proc, handover.process));
  if (!caller.foreign()) return -EACCES;  // it was readable a moment ago
  registry.make_image(caller, std::move(table));
  if (handover.may_be_subreaper) registry.note_subreaper(caller.process);
  registry.note_first({handover.has_own_memory, !handover.ran_before_filter, caller.process.start_time});
  if (handover.ran_before_filter) registry.note_ran_before_filter(caller.process);
  const std::span<const policy::Seal> seals = handover.seals;
  long error = registry.add(caller, seals.first(handover.filtered), true, Registry::Maker::first_filter);
  if (error == 0)
    error = registry.add(caller, seals.subspan(handover.filtered), false, Registry::Maker::first_filter);
  return static_cast<int>(error);
}

// The table of the tree's first image; null after the library has been told why there is none.
std::unique_ptr<TableFile> make_first_table() {
  // Better no supervisor than one that can't serve later programs of the tree.
  if (!may_open_files()) {
    report_trouble(policy::Trouble::few_files, EMFILE);
    return nullptr;
  }
  if (!may_map_tables()) {
    report_trouble(policy::Trouble::no_table, ENOMEM);
    return nullptr;
  }
  try {
    return std::make_unique<TableFile>();
  } catch (const std::system_error& error) {
    report_trouble(policy::Trouble::no_table, error.code().value());
  } catch (const std::bad_alloc&) {
    report_trouble(policy::Trouble::no_table, ENOMEM);
  }
  return nullptr;
}

// Null, with errno set, if the program may not be traced.
std::unique_ptr<Listener> make_listener(Proc& proc, const Handover& handover) {
  if (handover.listener >= 0) return std::make_unique<SeccompListener>(handover.listener);
  prctl(PR_SET_DUMPABLE, 1);  // an audit protects nothing, and the programs open their tables in /proc
  return PtraceListener::attach(proc, handover.process);
}

// Finds calls for which an existing filter kills; they are not used.
void look_for_killed_calls() {
  if (!shim::has_filters()) return;
  shim::KilledCalls& found = shim::g_killed_calls;
  found.openat2 = shim::kills(shim::try_openat2);
  found.kcmp = shim::kills(shim::try_kcmp);
  found.ptrace = shim::kills(shim::try_ptrace);
}

void prepare_process() {
  // No process may inspect this one or attach to it, because it can allow calls.
  prctl(PR_SET_DUMPABLE, 0);
  ignore_signals();
  look_for_killed_calls();
  (void)chdir("/");  // so as not to keep a file system busy
  raise_limits();
  // A higher priority, because programs wait for each answer. Only root may set it.
  constexpr int kBeforeOthers = -10;
  const auto raise_priority = [] { (void)setpriority(PRIO_PROCESS, 0, kBeforeOthers); };
  if (!shim::has_filters() || !shim::kills(raise_priority)) raise_priority();
  ask_to_be_spared();
}

// What is known before the first notification.
struct Service {
  std::unique_ptr<Proc> proc;
  KernelSizes sizes;
  PolicyFiles policies;
  std::string policy;                // the options that they have for the first image
  std::unique_ptr<TableFile> table;  // that image's
  Handover handover;
  std::string log{};  // what the options of that name mean
  std::string events{};
};

// Nothing if this process is not needed, or after the library has been told what is wrong.
std::optional<Service> prepare_service(std::span<const char* const> policy_paths) {
  // Without these calls no notification is received, and each notified call would hang.
  if (const int error = SeccompListener::find_refused_call(); error != 0) {
    report_trouble(policy::Trouble::refused_call, error);
    return std::nullopt;
  }
  policy::Trouble trouble = policy::Trouble::none;
  std::unique_ptr<Proc> proc = open_proc(peer(), trouble);
  const bool is_hidden = !proc && trouble == policy::Trouble::hidden_program;
  if (!proc && !is_hidden) {
    report_trouble(trouble, 0);
    return std::nullopt;
  }
  auto table = make_first_table();
  if (!table) return std::nullopt;
  PolicyFiles policies(policy_paths);
  // The path of a program that this process may not inspect.
  const char* const program = getenv("MSEAL_PROGRAM");
  std::string policy = policies.options_for(proc.get(), peer(), program != nullptr ? program : "");
  table->set_policy(policy, policies.complaints());
  if (is_hidden) {
    // For example a setgid program: it can't be served, but the policy applies to it.
    report_trouble(trouble, 0, table->descriptor());
    return std::nullopt;
  }
  const KernelSizes sizes = kernel_sizes(*proc);
  auto handover = receive_handover(table->descriptor());
  if (!handover) return std::nullopt;
  return Service{std::move(proc),
                 sizes,
                 std::move(policies),
                 std::move(policy),
                 std::move(table),
                 std::move(*handover),
                 {},
                 {}};
}

// A path that means a descriptor of the process that opens it, such as /dev/stdout: the program's is meant.
std::string path_in_program(std::string_view path, pid_t program) {
  constexpr std::string_view kStandard[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
  const std::string folder = "/proc/" + std::to_string(program) + "/fd/";
  const auto* const standard = std::ranges::find(kStandard, path);
  if (standard != std::end(kStandard)) return folder + std::to_string(standard - std::begin(kStandard));
  for (const std::string_view own : {"/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"})
    if (path.starts_with(own)) return folder + std::string(path.substr(own.size()));
  return std::string(path);
}

// They point into the service.
policy::Options options_of(Service& service) {
  policy::Options options;
  policy::parse_options(service.policy, options);
  policy::parse_options(service.handover.options, options);
  options.log = service.log = path_in_program(options.log, service.handover.process);
  options.events = service.events = path_in_program(options.events, service.handover.process);
  return options;
}

int answer_until_hang_up(Listener& listener, Dispatcher& dispatcher, const Registry& registry) {
  seccomp_notif notification;
  ProcessorTime time;
  SharedPipes pipes;
  while (true) {
    pipes.leave_if_alone(registry);
    // Not while it holds threads, because they are resumed when this process ends.
    if (listener.survives_fork() && !dispatcher.holds_threads() && time.move_if_wanted())
      listener.after_fork();
    switch (listener.next(notification, pipes.patience(dispatcher.patience()))) {
      case Listener::Received::notification:
        dispatcher.handle(notification);
        dispatcher.catch_up_if_due();
        break;
      case Listener::Received::nothing:
        dispatcher.idle();
        break;
      case Listener::Received::broken:
        // Waiting calls fail with ENOSYS once this process has ended.
        log(Level::critical, "supervisor ", getpid(), " ends: it can't receive notifications, ",
            std::strerror(errno));
        return EXIT_FAILURE;
      case Listener::Received::hang_up:
        dispatcher.idle();
        log(Level::info, "no process is left");
        return EXIT_SUCCESS;
    }
  }
}

int serve(std::span<const char* const> policy_paths) {
  prepare_process();
  auto service = prepare_service(policy_paths);
  if (!service) return EXIT_FAILURE;
  Proc& proc = *service->proc;
  Handover& handover = service->handover;
  const policy::Options options = options_of(*service);
  policy::Serving answer;
  answer.log = open_log(options);

  Registry registry(proc, handover.sealed_area, policy::tree_options(options));
  // An audit allows clone3, too, whose flags are in memory.
  if (options.audit || (options.open_calls & policy::kBlockedClone3) != 0) registry.note_unknown_lineage();
  answer.result = adopt_first_image(proc, registry, handover, std::move(service->table));
  std::unique_ptr<Listener> listener;
  if (answer.result == 0) {
    listener = make_listener(proc, handover);
    if (listener == nullptr) answer.result = -errno;
  }
  if (listener == nullptr) {
    acknowledge(answer);
    return EXIT_FAILURE;
  }
  log(Level::info, "supervisor ", getpid(), " serves pid ", handover.process, ": ", handover.seals.size(),
      " seals, ", handover.watched.size(), " watched ranges");
  Dispatcher dispatcher(*listener, proc, registry, service->policies, service->sizes,
                        handover.ran_before_filter ? handover.process : 0, std::move(handover.watched),
                        options);
  answer.events = dispatcher.events_error();
  if (options.log != "stderr")
    leave_standard_error();  // only now, because a path may refer to standard error
  acknowledge(answer);
  return answer_until_hang_up(*listener, dispatcher, registry);
}

}  // namespace
}  // namespace libmseal::supervisor

int main(int count, char** arguments) {
  using namespace libmseal::supervisor;
  libmseal::shim::occupy_standard_descriptors();
  if (!started_by_library()) {
    std::fputs("mseal-supervisor is started by libmseal.so: run LD_PRELOAD=libmseal.so PROGRAM\n", stderr);
    return 2;
  }
  try {
    return serve(std::span<const char* const>(arguments + 1, static_cast<std::size_t>(count - 1)));
  } catch (const std::exception& error) {
    log(Level::critical, error.what());
    return EXIT_FAILURE;
  }
}
