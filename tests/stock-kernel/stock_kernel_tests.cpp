// What only a kernel without mseal(2) can show: nothing is told about backends here.
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("stock-kernel: the supervised backend is picked, and the line says why") {
  REQUIRE(::syscall(462, 0, 0, 0) == -1);
  REQUIRE(errno == ENOSYS);
  utsname system{};
  REQUIRE(::uname(&system) == 0);
  const Run result = run(preloaded("verbose=1", {"/bin/true"}));
  CHECK(result.status == 0);
  CHECK(result.err ==
        "libmseal: backend supervised on Linux " + std::string(system.release) + ", which has no mseal(2)\n");
}

TEST_CASE("stock-kernel: programs are sealed and work, with no option at all") {
  for (const char* scenario : {"refuses_changes", "own_text_is_sealed", "fork_inherits", "exec_drops"}) {
    const Run result = run(preloaded("", {LIVE_PROGRAM, scenario}));
    INFO(scenario << result.err);
    CHECK(result.status == 0);
  }
  const Run bash =
      run(preloaded("", {"/bin/bash", "-c", "for i in 1 2; do echo $i | cat; done; echo $((6 * 7))"}));
  CHECK(bash.out == "1\n2\n42\n");
  CHECK(bash.err == "");
  const Run python = run(preloaded(
      "", {"/usr/bin/python3", "-c",
           "import ctypes, subprocess, threading\n"
           "l = ctypes.CDLL(None, use_errno=True)\n"
           "start = int(next(x for x in open('/proc/self/maps') if 'r-xp' in x).split('-')[0], 16)\n"
           "l.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]\n"
           "t = threading.Thread(target=lambda: print(l.mprotect(start, 4096, 7), ctypes.get_errno()))\n"
           "t.start(); t.join(); print(subprocess.run(['echo', 'child'], capture_output=True).stdout)"}));
  CHECK(python.out == "-1 1\nb'child\\n'\n");
  CHECK(python.err == "");
}

// It stays so until the next boot.
TEST_CASE("stock-kernel: a program with threads seals where Yama forbids every ptrace") {
  {
    std::ofstream scope("/proc/sys/kernel/yama/ptrace_scope");
    REQUIRE(scope << 3 << std::flush);
  }
  for (const char* scenario : {"threads_are_covered", "seals_outlive_their_thread", "fork_inherits"}) {
    const Run result = run(preloaded("", {LIVE_PROGRAM, scenario}));
    INFO(scenario << result.err);
    CHECK(result.status == 0);
  }
}

// What newer kernels have is done without, or said to be missing.
TEST_CASE("stock-kernel: hardening by Landlock is refused on kernels that have too little of it") {
  if (!older_than(5, 19)) return;
  const Run result = run(preloaded("harden=proc_mem", {"/bin/echo", "never"}));
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err,
             ContainsSubstring("harden=proc_mem cannot be met: it needs Landlock of Linux 5.19 or later"));
}

}  // namespace
}  // namespace libmseal::tests
