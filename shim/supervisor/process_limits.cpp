#include "shim/supervisor/process_limits.h"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "shim/common/table_size.h"
#include "shim/supervisor/events/log.h"

namespace libmseal::supervisor {
namespace {

// Each image takes two descriptors, and trees may be large.
constexpr rlim_t kManyFiles = 65536;
constexpr rlim_t kFewestFiles = 64;
// Of address space: one table for each image.
constexpr rlim_t kLeastMemory = kFewestFiles * shim::kTableBytes;

void raise_limit(decltype(RLIMIT_AS) which, rlim_t wanted) {
  rlimit limit{};
  if (getrlimit(which, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(which, &limit);
  if (limit.rlim_max >= wanted) return;
  limit = {wanted, wanted};
  (void)setrlimit(which, &limit);  // root may
}

bool may_have(decltype(RLIMIT_AS) which, rlim_t least) {
  rlimit limit{};
  return getrlimit(which, &limit) != 0 || limit.rlim_cur >= least;
}

volatile std::sig_atomic_t g_is_time_to_move = 0;

}  // namespace

void raise_limits() {
  raise_limit(RLIMIT_NOFILE, kManyFiles);
  for (const auto which : {RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_CPU})
    raise_limit(which, RLIM_INFINITY);
}

bool may_open_files() {
  return may_have(RLIMIT_NOFILE, kFewestFiles);
}

bool may_map_tables() {
  return may_have(RLIMIT_AS, kLeastMemory);
}

void ask_to_be_spared() {
  const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  constexpr std::string_view kNever = "-1000";
  (void)!write(file, kNever.data(), kNever.size());  // root may
  close(file);
}

void ignore_signals() {
  for (int signal = 1; signal < NSIG; ++signal) {
    const bool is_fault = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
                          signal == SIGABRT || signal == SIGTRAP || signal == SIGSYS;
    if (!is_fault && signal != SIGCHLD) (void)std::signal(signal, SIG_IGN);
  }
}

ProcessorTime::ProcessorTime() {
  rlimit limit{};
  if (getrlimit(RLIMIT_CPU, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return;
  half_ = std::max<long>(1, static_cast<long>(std::min<rlim_t>(limit.rlim_max, 1'000'000)) * 500);
  std::signal(SIGPROF, [](int) { g_is_time_to_move = 1; });
  set_timer();
}

bool ProcessorTime::move_if_wanted() {
  if (g_is_time_to_move == 0) return false;
  g_is_time_to_move = 0;
  set_timer();  // to try again, if no process can be created
  const pid_t old = getpid();
  const pid_t child = fork();
  if (child > 0) _exit(EXIT_SUCCESS);
  if (child < 0) return false;
  set_timer();
  log(Level::info, "supervisor ", getpid(), " replaces ", old, ", whose CPU time is limited");
  return true;
}

void ProcessorTime::set_timer() const {
  const itimerval timer{{0, 0}, {half_ / 1000, half_ % 1000 * 1000}};
  (void)setitimer(ITIMER_PROF, &timer, nullptr);
}

}  // namespace libmseal::supervisor
