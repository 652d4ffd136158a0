#include "shim/preload/process/exec_layout.h"

#include <spawn.h>
#include <sys/personality.h>
#include <unistd.h>

#include <cerrno>

#include "shim/common/raw_syscall.h"
#include "shim/preload/libc/next_function.h"
#include "shim/preload/state/own_filters.h"
#include "shim/preload/supervisor/orphans.h"

namespace libmseal::shim {

void note_filtered(State& state, const policy::Range& range) {
  state.filtered_ranges.fetch_add(1, std::memory_order_relaxed);
  state.filtered_bytes.fetch_add(range.size(), std::memory_order_relaxed);
}

namespace {

#ifdef __x86_64__

constexpr unsigned long kAsk = 0xFFFFFFFF;

bool is_much(const State& state) {
  constexpr std::uint64_t kMany = 64;  // ranges, of some twenty images
  constexpr std::uint64_t kLarge =
      1ULL << 30;  // bytes: a thousandth of the range in which the kernel places libraries
  return state.filtered_ranges.load(std::memory_order_relaxed) >= kMany ||
         state.filtered_bytes.load(std::memory_order_relaxed) >= kLarge;
}

// The previous personality of the thread, or an error if it was not changed.
long change_layout(const State& state) {
  if (!is_much(state) || own_filters_kill(Work::extras)) [[likely]]
    return -1;
  const long present = raw_syscall(__NR_personality, kAsk);
  if (failed(present) || (present & ADDR_COMPAT_LAYOUT) != 0) return -1;
  const long changed = raw_syscall(__NR_personality, present | ADDR_COMPAT_LAYOUT);
  return failed(changed) ? changed : present;
}

#else

// On arm64 most images lie in watched ranges anyway.
long change_layout(const State&) {
  return -1;
}

#endif

}  // namespace

void set_exec_layout(const State& state) {
  (void)change_layout(state);
}

// ---- libc's functions that start programs, from any thread ----

namespace {

using Execute = int(const char*, char* const[], char* const[]);
using Spawn = int(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*,
                  char* const[], char* const[]);
constinit NextFunction<Execute> g_execvpe("execvpe");
constinit NextFunction<Spawn> g_posix_spawn("posix_spawn");
constinit NextFunction<Spawn> g_posix_spawnp("posix_spawnp");

// Calls start() with that layout and restores the previous one afterwards.
template <class Start>
auto start_program(Start start) {
  be_met(g_state);
  const long before = change_layout(g_state);
  const auto result = start();
  if (!failed(before)) (void)raw_syscall(__NR_personality, before);
  return result;
}

template <class... Arguments>
int spawn(Spawn* function, Arguments... arguments) {
  return function == nullptr ? ENOSYS : start_program([&] { return function(arguments...); });
}

}  // namespace

void find_exec_functions() {
  (void)g_execvpe.get();
  (void)g_posix_spawn.get();
  (void)g_posix_spawnp.get();
}

#pragma GCC visibility push(default)
extern "C" {

int execve(const char* path, char* const arguments[], char* const environment[]) {
  const auto execute = [&] { return raw_syscall(__NR_execve, path, arguments, environment); };
  errno = static_cast<int>(-start_program(execute));
  return -1;
}

int execv(const char* path, char* const arguments[]) {
  return execve(path, arguments, environ);
}

int execvpe(const char* file, char* const arguments[], char* const environment[]) {
  if (auto* const next = g_execvpe.get(); next != nullptr)
    return start_program([&] { return next(file, arguments, environment); });
  errno = ENOSYS;
  return -1;
}

int execvp(const char* file, char* const arguments[]) {
  return execvpe(file, arguments, environ);
}

int posix_spawn(pid_t* process, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
  return spawn(g_posix_spawn.get(), process, path, actions, attributes, arguments, environment);
}

int posix_spawnp(pid_t* process, const char* file, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
  return spawn(g_posix_spawnp.get(), process, file, actions, attributes, arguments, environment);
}

}  // extern "C"
#pragma GCC visibility pop

}  // namespace libmseal::shim
