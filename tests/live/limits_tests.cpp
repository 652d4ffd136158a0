// Limits on resources that a program starts under: one message names the true cause, once for its tree.
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <csignal>
#include <functional>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

constexpr const char* kShell = "/bin/true; (/bin/true; /bin/true); echo done";
constexpr const char* kPython =
    "import subprocess\nfor i in range(3): subprocess.run(['/bin/true'])\nprint('done')";

using Limit = decltype(RLIMIT_AS);

// A shell and a python3 with many children, which nobody may give more: what the library says in each.
void tries(const std::string& options, Limit limit, rlim_t value, const std::string& cause) {
  std::vector<std::vector<std::string>> commands{{"/bin/bash", "-c", kShell}};
  // What it maps is more than the least that memory is limited to here.
  if (limit != RLIMIT_AS && std::filesystem::exists("/usr/bin/python3"))
    commands.push_back({"/usr/bin/python3", "-c", kPython});
  for (const auto& arguments : commands) {
    Command command = preloaded("policy=none," + options, arguments);
    command.prepare = [limit, value] {
      prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
      const rlimit both{value, value};
      if (setrlimit(limit, &both) != 0) _exit(125);
    };
    const Run result = run(command);
    INFO(arguments[0] << " " << options << " " << value << ": " << result.err);
    CHECK(result.status == 0);
    CHECK(result.out == "done\n");
    // On a busy machine, five descriptors are too few to find out who shares the memory.
    const bool is_unclear = result.err.find("or may share it") != std::string::npos && value < 8;
    CHECK(count_lines(result.err) == (cause.empty() ? 0 : 1) + (is_unclear ? 1 : 0));
    if (!cause.empty())
      CHECK_THAT(result.err, ContainsSubstring("instead of supervised: ") && ContainsSubstring(cause));
  }
}

TEST_CASE("live: a limit on file sizes kills no program, and is named once") {
  for (const rlim_t bytes : {0, 102'400}) {
    tries("backend=supervised", RLIMIT_FSIZE, bytes, "ulimit -f");
    tries("backend=filters", RLIMIT_FSIZE, bytes, "");
  }
  tries("backend=supervised", RLIMIT_FSIZE, rlim_t{1} << 30, "");
}

TEST_CASE("live: a limit on descriptors is named once") {
  for (const rlim_t files : {5, 8, 16}) tries("backend=supervised", RLIMIT_NOFILE, files, "ulimit -n");
  tries("backend=supervised", RLIMIT_NOFILE, 256, "");
}

TEST_CASE("live: where filters are only a substitute, a program at a fixed address can start itself") {
  const std::string python = "/usr/bin/python3";
  if (!needs(std::filesystem::exists(python), "python3, which Debian links to a fixed address")) return;
  const std::string starts_itself =
      "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''], check=True)";
  Command command = preloaded("policy=none,backend=supervised", {python, "-c", starts_itself});
  command.prepare = [] {
    prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
    const rlimit both{60, 60};
    if (setrlimit(RLIMIT_NOFILE, &both) != 0) _exit(125);
  };
  const Run result = run(command);
  CHECK(result.status == 0);
  CHECK_THAT(result.err, ContainsSubstring("backend filters instead of supervised"));
}

// A line of the library on standard error, of a program that knows nothing about it.
Run with_message(const std::function<void()>& prepare) {
  return run(preloaded("policy=none,backend=supervised,nonsense=1", {"/bin/true"}, prepare));
}

TEST_CASE("live: a message that nobody reads neither ends nor stops the program") {
  CHECK_THAT(with_message([] {}).err, ContainsSubstring("there is no option nonsense"));
  const auto pipe_to_error = [](bool keep_reader) {
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[1], 2) != 2) _exit(125);
    fcntl(2, F_SETFL, O_NONBLOCK);
    const std::string page(4096, 'x');
    while (keep_reader && write(2, page.data(), page.size()) > 0) {
    }
    fcntl(2, F_SETFL, 0);
    if (!keep_reader) close(ends[0]);
    signal(SIGPIPE, SIG_DFL);
  };
  CHECK(with_message([=] { pipe_to_error(false); }).status == 0);
  CHECK(with_message([=] { pipe_to_error(true); }).status == 0);
  const Run too_large = with_message([] {
    const rlimit none{0, 0};
    const int file = memfd_create("errors", 0);
    if (setrlimit(RLIMIT_FSIZE, &none) != 0 || dup2(file, 2) != 2) _exit(125);
    signal(SIGXFSZ, SIG_DFL);
  });
  CHECK(too_large.status == 0);
}

TEST_CASE("live: a message does not get into a file that has become descriptor 2") {
  for (const char* kind : {"data", "log"}) {
    expect_success(run(preloaded("policy=none,backend=supervised,sealable=required",
                                 {LIVE_PROGRAM, "message_into_file", kind})));
  }
}

TEST_CASE("live: programs that have ended keep no descriptors from those that follow") {
  constexpr rlim_t kFew = 64;
  Command command = preloaded("policy=none,backend=supervised",
                              {"/bin/bash", "-c", "for i in {1..50}; do /bin/true; done; echo done"});
  command.prepare = [] {
    prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
    const rlimit both{kFew, kFew};
    if (setrlimit(RLIMIT_NOFILE, &both) != 0) _exit(125);
  };
  const Run result = run(command);
  CHECK(result.out == "done\n");
  CHECK(result.err == "");
}

TEST_CASE("live: a limit on memory is named once") {
  for (const rlim_t bytes : {24'000'000, 200'000'000})
    tries("backend=supervised", RLIMIT_AS, bytes, "ulimit -v");
  tries("backend=supervised", RLIMIT_AS, rlim_t{1} << 31, "");
}

TEST_CASE("live: a supervisor with the right to more takes it") {
  if (!needs(::geteuid() == 0, "root")) return;
  const rlimit none{0, 0};
  const auto may_raise = [] {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    ++files.rlim_max;
    const bool may = setrlimit(RLIMIT_NOFILE, &files) == 0;
    --files.rlim_max;
    if (may) setrlimit(RLIMIT_NOFILE, &files);
    return may;
  };
  if (!needs(may_raise(), "the right to raise limits (CAP_SYS_RESOURCE)", "resource")) return;
  const Run result = run(preloaded("policy=none,backend=supervised", {LIVE_PROGRAM, "refuses_changes"},
                                   [none] { setrlimit(RLIMIT_FSIZE, &none); }));
  expect_success(result);
  CHECK(result.err == "");
}

TEST_CASE("live: a missing supervisor is said once for a tree, whoever starts its programs") {
  std::vector<std::vector<std::string>> commands{{"/bin/bash", "-c", kShell},
                                                 {"/bin/bash", "-c", "exec /bin/bash -c \"$0\"", kShell}};
  if (std::filesystem::exists("/usr/bin/python3")) commands.push_back({"/usr/bin/python3", "-c", kPython});
  for (const auto& arguments : commands) {
    const Run result =
        run(preloaded("policy=none,backend=supervised,supervisor=/nonexistent/supervisor", arguments));
    INFO(arguments[0] << ": " << result.err);
    CHECK(result.out == "done\n");
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err, ContainsSubstring("no such file (ENOENT)"));
  }
}

TEST_CASE("live: a bad option is said once for a tree") {
  const Run result = run(preloaded("policy=none,backend=supervised,colour=red", {"/bin/bash", "-c", kShell}));
  CHECK(result.out == "done\n");
  CHECK(count_lines(result.err) == 1);
}

TEST_CASE("live: without /proc one line says so for the objects and one for the backend, once for a tree") {
  const auto result = without_proc("env LD_PRELOAD=" LIBMSEAL_SO
                                   " MSEAL_OPTIONS=policy=none,backend=supervised /bin/bash -c '" +
                                   std::string(kShell) + "'");
  if (!result) return;
  CHECK(result->out == "done\n");
  CHECK(count_lines(result->err) == 2);
  CHECK_THAT(result->err,
             ContainsSubstring("the loaded objects are not sealed: /proc/thread-self/maps, no such file") &&
                 ContainsSubstring("the supervisor needs /proc"));
}

TEST_CASE("live: with the /proc of another pid namespace one line says so") {
  if (!needs_unshare(CLONE_NEWPID, "a pid namespace")) return;
  const Run result = run({{"unshare", "-pf", "env", "LD_PRELOAD=" LIBMSEAL_SO,
                           "MSEAL_OPTIONS=policy=none,backend=supervised", "/bin/true"},
                          {},
                          {},
                          60});
  CHECK_THAT(result.err,
             ContainsSubstring("/proc belongs to another pid namespace: mount a procfs of this one; calls"));
}

TEST_CASE("live: a program that has the /proc of another pid namespace hears why it can't seal") {
  if (!needs_unshare(CLONE_NEWPID, "a pid namespace")) return;
  const Run result = run({{"unshare", "-pf", "env", "MSEAL_OPTIONS=policy=none,backend=supervised",
                           LIVE_PROGRAM, "refuses_changes"},
                          {},
                          {},
                          60});
  CHECK(result.status != 0);
  CHECK_THAT(result.err, ContainsSubstring("mseal: /proc belongs to another pid namespace, so the library"));
}

// Another process outside may share the memory of a fork. The kernel shows that none does, unless there are
// threads.
TEST_CASE("live: a fork that loads the library in a pid namespace can seal if it has one thread") {
  if (!needs_unshare(CLONE_NEWPID, "a pid namespace")) return;
  const std::string python = "/usr/bin/python3";
  if (!needs(std::filesystem::exists(python), python)) return;
  const auto seal_in_fork = [&](const std::string& before) {
    const std::string program =
        "import ctypes, mmap, os, threading, time\n"
        "child = os.fork()\n"
        "if child: os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n" +
        before +
        "page = mmap.mmap(-1, 4096)\n"
        "at = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n"
        "sealed = ctypes.CDLL('" LIBMSEAL_SO
        "').mseal(at, ctypes.c_size_t(4096), ctypes.c_ulong(0)) == 0\n"
        "os._exit(0 if sealed and ctypes.CDLL(None).munmap(at, ctypes.c_size_t(4096)) == -1 else 3)\n";
    return run({{"unshare", "-pf", "--mount-proc", "env", "MSEAL_OPTIONS=policy=none,backend=supervised",
                 python, "-c", program},
                {},
                {},
                60});
  };
  expect_success(seal_in_fork(""));
  const Run threads = seal_in_fork("threading.Thread(target=time.sleep, args=[60], daemon=True).start()\n");
  CHECK(threads.status == 3);
  CHECK_THAT(threads.err, ContainsSubstring("mseal: the library was loaded in a forked process"));
}

// The first process of a pid namespace ends it: it must be one of the program.
TEST_CASE("live: after unshare, the library creates no process that would be the first of the namespace") {
  if (!needs_unshare(CLONE_NEWPID, "a pid namespace")) return;
  const std::string python = "/usr/bin/python3";
  if (!needs(std::filesystem::exists(python), python)) return;
  constexpr std::string_view kProgram = R"(
import ctypes, mmap, os
libc, library = ctypes.CDLL(None, use_errno=True), ctypes.CDLL(LIBRARY)
assert libc.unshare(0x20000000) == 0
page = mmap.mmap(-1, 4096)
at = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
sealed = library.mseal(at, ctypes.c_size_t(4096), ctypes.c_ulong(0)) == 0
child = os.fork()
if child == 0:
    grandchild = os.fork()  # fails with ENOMEM if the first process has ended
    if grandchild == 0: os._exit(0)
    os._exit(0 if os.getpid() == 1 and os.waitpid(grandchild, 0)[1] == 0 else 3)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or (0 if sealed else 4))
)";
  std::string program(kProgram);
  program.replace(program.find("LIBRARY"), 7, "'" LIBMSEAL_SO "'");
  for (const char* const options : {"backend=supervised", "backend=supervised,auto=off", "backend=filters"}) {
    INFO(options);
    expect_success(run(preloaded(std::string("policy=none,") + options, {python, "-c", program})));
  }
  const Run outside = run({{"unshare", "-p", "env", "LD_PRELOAD=" LIBMSEAL_SO,
                            "MSEAL_OPTIONS=policy=none,backend=supervised", "/bin/true"},
                           {},
                           {},
                           60});
  CHECK(outside.status == 0);
  CHECK_THAT(outside.err, ContainsSubstring("is the first of another pid namespace (unshare, setns)"));
}

TEST_CASE("live: a program that is linked to the library and has no /proc hears why it can't seal") {
  const auto result =
      without_proc("env MSEAL_OPTIONS=policy=none,backend=supervised " LIVE_PROGRAM " refuses_changes");
  if (!result) return;
  CHECK(result->status != 0);
  CHECK_THAT(result->err,
             ContainsSubstring("mseal: /proc/thread-self can't be read: no such file (ENOENT)") &&
                 !ContainsSubstring("io_uring"));
}

}  // namespace
}  // namespace libmseal::tests
