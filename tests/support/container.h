// What an unprivileged container refuses. Each is found out by trying it, in a child.
#pragma once

#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/support/filters.h"
#include "tests/support/needs.h"

namespace libmseal::tests {

// What try_it() says in a child.
template <class Try>
bool holds_in_child(Try try_it) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(try_it() ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A profile that answers mseal(2) keeps it from a supervisor. libmseal.so then speaks to its supervisor by
// mmap, but a program that makes the system call itself is not served.
inline bool mseal_is_notified() {
  return holds_in_child([] {
    const int listener = answer_with(462, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    int end_of_caller[2];
    if (::pipe(end_of_caller) != 0) return false;
    const pid_t caller = ::fork();
    if (caller == 0) {
      ::syscall(462, 0, 0, 0);
      ::_exit(0);
    }
    ::close(end_of_caller[1]);
    pollfd first[] = {{listener, POLLIN, 0}, {end_of_caller[0], 0, 0}};
    const bool seen = ::poll(first, 2, -1) > 0 && (first[0].revents & POLLIN) != 0;
    ::kill(caller, SIGKILL);
    return seen;
  });
}
inline bool needs_mseal_to_be_notified() {
  return needs(mseal_is_notified(), "a seccomp profile that lets mseal(2) through to a supervisor",
               "profile");
}

inline bool needs_kcmp() {
  const bool compares = ::syscall(__NR_kcmp, ::getpid(), ::getpid(), KCMP_VM, 0, 0) == 0;
  return needs(compares, "kcmp(2), to tell whether processes share their memory", "kcmp");
}

inline bool needs_personality() {
  const bool changes = holds_in_child([] { return ::personality(ADDR_NO_RANDOMIZE) != -1; });
  return needs(changes, "personality(2), to choose a layout of memory", "personality");
}

inline bool needs_unshare(int flags, const std::string& what) {
  return needs(holds_in_child([flags] { return ::unshare(flags) == 0; }), "unshare(2) of " + what, "unshare");
}

// `mseal status` reads the table of seals there.
inline bool needs_map_files() {
  std::ifstream maps("/proc/self/maps");
  unsigned long start = 0;
  unsigned long end = 0;
  char dash = 0;
  REQUIRE(maps >> std::hex >> start >> dash >> end);
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", start, end);
  const int file = ::open(path, O_RDONLY);
  if (file >= 0) ::close(file);
  return needs(file >= 0, "CAP_CHECKPOINT_RESTORE, to open files of /proc/PID/map_files", "checkpoint");
}

// A process that is not dumpable, such as the supervisor, can be looked at with this alone.
inline bool needs_ptrace_capability() {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)::write(ends[1], "", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  (void)::read(ends[0], &byte, 1);
  const int memory = ::open(("/proc/" + std::to_string(child) + "/smaps_rollup").c_str(), O_RDONLY);
  for (const int one : {memory, ends[0], ends[1]}) ::close(one);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return needs(memory >= 0, "CAP_SYS_PTRACE, to look into processes that are not dumpable", "ptrace");
}

}  // namespace libmseal::tests
