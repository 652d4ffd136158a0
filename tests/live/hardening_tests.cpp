// harden=: what it leaves working, and what happens where it cannot be had.
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/filters.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: a hardened program does its ordinary work, and so do its children") {
  if (!needs_landlock()) return;
  const TemporaryPath folder("hardened");
  std::filesystem::create_directories(folder.string() + "/a");
  std::filesystem::create_directories(folder.string() + "/b");
  const std::string options = "harden=ptrace+process_vm_writev+userfaultfd+proc_mem,backend=supervised";
  const Run result = run(preloaded(
      options,
      {"/bin/bash", "-c",
       "cd " + folder.string() +
           " && echo x > a/x && mv a/x b/y && cat b/y > /dev/null && echo to >/dev/stdout | cat &&"
           " (echo 0 > /proc/self/oom_score_adj) 2>/dev/null || bash -c 'echo in a child > b/z; cat b/z'"}));
  INFO(result.err);
  CHECK(result.out == "to\nin a child\n");
  CHECK(result.err == "");
  CHECK(result.status == 0);
}

TEST_CASE("live: hardening that can't be had ends the program, and one line says why") {
  const Run no_landlock = run(preloaded("harden=proc_mem,backend=supervised", {"/bin/echo", "never"}, [] {
    answer_with(444, SECCOMP_RET_ERRNO | ENOSYS);
  }));  // landlock_create_ruleset
  CHECK(no_landlock.status == 127);
  CHECK(no_landlock.out == "");
  CHECK(count_lines(no_landlock.err) == 1);
  CHECK_THAT(no_landlock.err, ContainsSubstring("harden=proc_mem cannot be met: it needs Landlock"));

  const Run no_seccomp = run(preloaded("harden=ptrace,backend=libc", {"/bin/echo", "never"},
                                       [] { answer_with(__NR_seccomp, SECCOMP_RET_ERRNO | ENOSYS); }));
  CHECK(no_seccomp.status == 127);
  CHECK_THAT(no_seccomp.err, ContainsSubstring("harden= cannot be met: the filter could not be installed"));
}

TEST_CASE("live: the mode of the tree, and not a program's own, decides whether the program is hardened") {
  const auto run_in_tree = [](const std::string& mode, const std::string& own, const char* scenario) {
    return run(preloaded("policy=none,backend=supervised,mode=" + mode,
                         {"/bin/sh", "-c",
                          "MSEAL_OPTIONS=policy=none,backend=supervised,harden=ptrace,mode=" + own + " " +
                              LIVE_PROGRAM + " " + scenario + "; exit $?"}));
  };
  expect_success(run_in_tree("enforce", "enforce", "is_hardened"));
  expect_success(run_in_tree("enforce", "audit", "is_hardened"));
  expect_success(run_in_tree("audit,events=/dev/null", "enforce", "is_not_hardened"));
  expect_success(run_in_tree("audit,events=/dev/null", "audit", "is_not_hardened"));
}

}  // namespace
}  // namespace libmseal::tests
