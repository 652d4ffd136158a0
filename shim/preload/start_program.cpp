#include "shim/preload/start_program.h"

#include <spawn.h>
#include <unistd.h>

#include <cerrno>

#include "shim/common/raw_syscall.h"
#include "shim/preload/libc/libc_result.h"
#include "shim/preload/libc/next_function.h"
#include "shim/preload/process/exec_layout.h"
#include "shim/preload/supervisor/announce.h"

namespace libmseal::shim {
namespace {

using Execute = int(const char*, char* const[], char* const[]);
using Spawn = int(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*,
                  char* const[], char* const[]);
constinit NextFunction<Execute> g_execvpe("execvpe");
constinit NextFunction<Spawn> g_posix_spawn("posix_spawn");
constinit NextFunction<Spawn> g_posix_spawnp("posix_spawnp");

template <class Start>
auto start_program(Start start) {
  announce_process(g_state);
  const long layout = set_exec_layout(g_state);
  const auto result = start();
  restore_exec_layout(layout);
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
  return libc_result<int>(start_program(execute));
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
