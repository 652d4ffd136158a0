// Which backend is taken where the wanted one is not to be had, and the line that says so.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/live/runs.h"
#include "tests/live/sealed.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/filters.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: a missing supervisor means backend filters, in one line") {
  const Run result = run(
      preloaded("supervisor=/nonexistent/supervisor,backend=supervised", {LIVE_PROGRAM, "refuses_changes"}));
  expect_success(result);
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err,
             ContainsSubstring("backend filters instead of supervised: the supervisor could not be started "
                               "(/nonexistent/supervisor), no such file"));
  const Run required = run(preloaded(
      "supervisor=/nonexistent/supervisor,backend=supervised,require=supervised", {"/bin/echo", "never"}));
  CHECK(required.status == 127);
  CHECK(required.out == "");
  CHECK_THAT(required.err, ContainsSubstring("require=supervised cannot be met"));
}

TEST_CASE("live: a program whose page zero is mapped has a supervisor all the same") {
  const bool maps_it = holds_in_child([] {
    return ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == nullptr;
  });
  if (!needs(maps_it, "CAP_SYS_RAWIO, to map page zero", "rawio")) return;
  expect_success(
      run(preloaded("auto=off,backend=supervised,require=supervised", {LIVE_PROGRAM, "has_page_zero"})));
}

TEST_CASE("live: no process can be made for the supervisor, and the line says why") {
  // A user as which no other process runs.
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  for (const rlim_t processes : {1, 2}) {
    const TemporaryPath copies("few-processes");
    Command command = as_nobody(copies.string(), "backend=supervised,policy=none", {"/bin/true"});
    command.prepare = [processes] {
      const rlimit limit{processes, processes};
      if (::setrlimit(RLIMIT_NPROC, &limit) != 0 || ::setgid(64321) != 0 || ::setuid(64321) != 0)
        ::_exit(124);
    };
    const Run result = run(command);
    INFO(result.err);
    CHECK(result.status == 0);
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err, ContainsSubstring("EAGAIN"));
  }
}

TEST_CASE("live: a supervisor that is no program, or not ours") {
  const TemporaryPath text("text");
  std::ofstream(text.string()) << "no program\n";
  std::filesystem::permissions(text.string(), std::filesystem::perms::owner_all);
  const Run no_program = run(preloaded("backend=supervised,supervisor=" + text.string(), {"/bin/true"}));
  CHECK_THAT(no_program.err, ContainsSubstring("backend filters") && ContainsSubstring("not a program"));
  const Run stranger = run(preloaded("backend=supervised,supervisor=/bin/true", {"/bin/true"}));
  CHECK_THAT(stranger.err, ContainsSubstring("backend filters") && ContainsSubstring("ended early"));
}

TEST_CASE("live: where another listener is in force, deny filters do the work, and one line says so") {
  const Run result =
      run(preloaded("backend=supervised", {LIVE_PROGRAM, "refuses_changes"}, install_other_listener));
  expect_success(result);
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err,
             ContainsSubstring("backend filters instead of supervised") && ContainsSubstring("EBUSY"));
}

TEST_CASE("live: a profile that answers mseal(2) for itself does not cut off the supervisor") {
  // As Podman's and Docker's do where they do not know the call; and they forbid kcmp.
  const int error = GENERATE(ENOSYS, EPERM, 0);  // the last pretends that the call has succeeded
  const auto forbid = [error](int number) {
    answer_with(number, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
  };
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all"}) {
    for (const char* name : {"refuses_changes", "fork_inherits", "exec_drops", "threads_are_covered",
                             "query_tells", "seals_after_the_fork_are_not_inherited", "errors_of_mseal"}) {
      INFO(error << " " << options << " " << name);
      Command command = preloaded(options, {LIVE_PROGRAM, name});
      command.prepare = [&] {
        forbid(462);
        if (error != 0) forbid(__NR_kcmp);
      };
      expect_success(run(command));
    }
  }
  Command command =
      preloaded("backend=supervised,verbose=1", {"/bin/sh", "-c", "/bin/echo a | /bin/cat; /bin/true"});
  command.prepare = [&] { forbid(462); };
  const Run tree = run(command);
  CHECK(tree.status == 0);
  CHECK(tree.out == "a\n");
  CHECK(count_lines(tree.err) == 4);
  CHECK_THAT(tree.err, !ContainsSubstring("instead of"));
}

TEST_CASE(
    "live: a filter that kills callers of mseal(2) or seccomp(2) does not end the program, and one line says "
    "why") {
  const int number = GENERATE(462, __NR_seccomp, 437);  // the last: openat2
  std::string options =
      GENERATE("", "backend=supervised", "backend=filters", "scope=process", "late=all", "policy=");
  const TemporaryPath policy("policy.toml");
  std::ofstream(policy.string()) << "late = \"all\"\n";
  if (options == "policy=") options += policy.string();
  INFO(number << " " << options);
  const auto kill_for_it = [number] { answer_with(number, SECCOMP_RET_KILL_PROCESS); };
  const Run result =
      run(preloaded(options, {"/bin/sh", "-c", "/bin/true; /bin/true; echo done"}, kill_for_it));
  CHECK(result.status == 0);
  CHECK(result.out == "done\n");
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err, ContainsSubstring("backend libc instead of") &&
                             ContainsSubstring("kills programs that call mseal(2), seccomp(2)"));
  const Run hardened = run(preloaded("backend=supervised,harden=ptrace", {"/bin/true"}, kill_for_it));
  CHECK(hardened.status == 127);
  CHECK_THAT(hardened.err, ContainsSubstring("harden= cannot be met: a seccomp filter"));
}

TEST_CASE("live: the supervisor does without calls that a filter refuses, or whose callers it kills") {
  const int number = GENERATE(__NR_kcmp, __NR_ptrace, __NR_setpriority);
  const std::uint32_t action = GENERATE(SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO | EPERM);
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"}) {
    for (const char* name : {"refuses_changes", "fork_inherits", "threads_are_covered"}) {
      // Busy threads that can't be stopped take their time.
      if (number == __NR_ptrace && std::string_view(name) == "threads_are_covered") continue;
      INFO(number << " " << std::hex << action << " " << options << " " << name);
      const Run result = run(preloaded(options, {LIVE_PROGRAM, name}, [&] { answer_with(number, action); }));
      expect_success(result);
      CHECK(result.err == "");
    }
  }
}

TEST_CASE("live: without ioctl or poll there is no supervisor, and one line says so") {
#ifdef __NR_poll
  const int number = GENERATE(__NR_ioctl, __NR_poll);
#else  // libc's poll calls ppoll there, which the library needs as well
  const int number = __NR_ioctl;
#endif
  const Run result = run(preloaded("backend=supervised", {LIVE_PROGRAM, "refuses_changes"},
                                   [&] { answer_with(number, SECCOMP_RET_ERRNO | ENOSYS); }));
  expect_success(result);
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err,
             ContainsSubstring("backend filters instead of supervised: a seccomp filter refuses"));
}

TEST_CASE("live: without seccomp only libc's functions are checked, and one line says so") {
  const auto hide_seccomp = [] { answer_with(__NR_seccomp, SECCOMP_RET_ERRNO | ENOSYS); };
  const Run result =
      run(preloaded("backend=supervised", {LIVE_PROGRAM, "libc_backend_sees_libc_only"}, hide_seccomp));
  expect_success(result);
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err, ContainsSubstring("backend libc instead of supervised") &&
                             ContainsSubstring("raw system calls pass"));
  CHECK(run(preloaded("backend=supervised,require=filters", {"/bin/true"}, hide_seccomp)).status == 127);
}

TEST_CASE("live: an unprivileged user gets the same, with no_new_privs") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  const TemporaryPath copies("nobody");
  const Run result = run(as_nobody(copies.string(), "backend=supervised",
                                   {copies.string() + "/live_program", "refuses_changes"}));
  expect_success(result);
  CHECK(result.err == "");
}

TEST_CASE("live: in root's tree, another user's programs get no_new_privs, but not under coverage=all") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  const bool covers_all = GENERATE(false, true);
  const TemporaryPath copies("nobody");
  const std::string as_other = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
  Command command =
      as_nobody(copies.string(), covers_all ? "backend=supervised,coverage=all" : "backend=supervised",
                {"/bin/sh", "-c",
                 as_other + "grep NoNewPrivs /proc/self/status; " + as_other + copies.string() +
                     "/live_program refuses_changes"});
  command.prepare = nullptr;
  const Run result = run(command);
  expect_success(result);
  const bool needs_filter = !covers_all && !kTextIsWatched;
  const bool goes_without = holds_in_child([] {
    std::array<sock_filter, 1> allow{{BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
    const sock_fprog program{1, allow.data()};
    return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 &&
           ::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
  });
  if (!needs_filter &&
      !needs(goes_without, "CAP_SYS_ADMIN, to install filters without no_new_privs", "admin"))
    return;
  CHECK_THAT(result.out, ContainsSubstring(needs_filter ? "NoNewPrivs:\t1" : "NoNewPrivs:\t0"));
}

// /proc/PID/status lists them before it tells of filters.
TEST_CASE("live: a process of a thousand groups is looked at like any other") {
  if (!needs(::geteuid() == 0, "root, to have so many")) return;
  std::string groups = "1";
  for (int group = 1'000'001; group < 1'001'000; ++group) groups += "," + std::to_string(group);
  for (const char* const backend : {"supervised", "filters"}) {
    const std::string options = std::string("MSEAL_OPTIONS=policy=none,verbose=1,backend=") + backend;
    const Run result = run({{"setpriv", "--groups=" + groups, "env", std::string("LD_PRELOAD=") + LIBMSEAL_SO,
                             options, LIVE_PROGRAM, "refuses_changes"},
                            {},
                            {},
                            60});
    expect_success(result);
    CHECK_THAT(result.err, ContainsSubstring("backend " + std::string(backend) + " on"));
  }
}

TEST_CASE("live: discard=strict is not left to a kernel that does not keep it") {
  if (!needs_mseal()) return;
  const auto said = [](const std::string& options) {
    const Run result =
        run(preloaded("policy=none," + options, {"/bin/bash", "-c", "/bin/true; (/bin/true; :)"}));
    INFO(options);
    CHECK(result.status == 0);
    return result.err;
  };
  const std::string named = said("backend=kernel,discard=strict");
  CHECK(count_lines(named) == 1);
  CHECK_THAT(named, ContainsSubstring(
                        "backend supervised instead of kernel: mseal(2) does not follow discard=strict"));
  CHECK(said("discard=strict") == "");
  CHECK_THAT(said("discard=strict,verbose=1"),
             ContainsSubstring("backend supervised on Linux") &&
                 ContainsSubstring("whose mseal(2) does not follow discard=strict"));
  CHECK_THAT(said("discard=kernel,verbose=1"), ContainsSubstring("backend kernel on Linux"));
  CHECK_THAT(said("verbose=1"), ContainsSubstring("backend kernel on Linux"));
  CHECK(run(preloaded("policy=none,require=kernel,discard=strict", {"/bin/true"})).status == 127);
}

TEST_CASE("live: where a profile refuses mseal(2), that is what is said") {
  Command command = preloaded("policy=none,verbose=1", {"/bin/true"});
  command.prepare = [] { answer_with(462, SECCOMP_RET_ERRNO | EPERM); };
  const Run result = run(command);
  CHECK(result.status == 0);
  CHECK_THAT(result.err, ContainsSubstring("where a seccomp profile refuses mseal(2)") &&
                             !ContainsSubstring("has no mseal(2)"));
  command.environment["MSEAL_OPTIONS"] = "policy=none,require=kernel";
  const Run required = run(command);
  CHECK(required.status == 127);
  CHECK_THAT(required.err, ContainsSubstring("require=kernel cannot be met"));
}

TEST_CASE("live: a requirement that the chosen backend can't meet is said plainly") {
  const Run result = run(preloaded("policy=none,backend=filters,require=supervised", {"/bin/echo", "never"}));
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err,
             ContainsSubstring("require=supervised cannot be met: a weaker backend was requested (filters)"));
}

}  // namespace
}  // namespace libmseal::tests
