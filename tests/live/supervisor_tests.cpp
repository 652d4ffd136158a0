// The supervisor: killed, stopped, looked at and lied to, and its end.
#include <sys/prctl.h>
#include <unistd.h>

#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: a killed supervisor fails closed") {
  const TemporaryPath log("supervisor.log");
  expect_success(run(preloaded("backend=supervised,log=" + log.string(),
                               {LIVE_PROGRAM, "dead_supervisor_fails_closed", log.string()})));
}

TEST_CASE("live: a stopped supervisor lets nothing through") {
  const TemporaryPath log("supervisor.log");
  expect_success(run(preloaded("backend=supervised,log=" + log.string(),
                               {LIVE_PROGRAM, "stopped_supervisor_lets_nothing_through", log.string()})));
}

TEST_CASE("live: the supervisor is out of reach of its user's other processes") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  const TemporaryPath log("supervisor.log");
  const TemporaryPath copies("nobody");
  expect_success(run(as_nobody(copies.string(), "backend=supervised,log=" + log.string(),
                               {copies.string() + "/live_program", "supervisor_is_private", log.string()})));
}

// It may wait until it has no child left.
TEST_CASE("live: a program that adopts orphans does not get the supervisor as a child") {
  expect_success(run(preloaded("backend=supervised", {LIVE_PROGRAM, "no_child_to_wait_for"},
                               [] { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); })));
}

TEST_CASE("live: events go to the program's standard output if it says so") {
  for (const char* path : {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}) {
    const Run result =
        run(preloaded("backend=supervised,events=" + std::string(path), {LIVE_PROGRAM, "refuses_changes"}));
    CHECK(result.status == 0);
    CHECK_THAT(result.out, ContainsSubstring("\"verdict\":\"refused\""));
  }
}

// run() reads standard error until its end, and only then waits for the program.
TEST_CASE("live: a log on standard error does not keep its reader waiting") {
  const Run result =
      run(preloaded("policy=none,backend=supervised,log=stderr", {LIVE_PROGRAM, "refuses_changes"}));
  CHECK(result.status == 0);
  CHECK_THAT(result.err, ContainsSubstring("refused"));
}

TEST_CASE("live: control messages are no way out") {
  expect_success(run(preloaded("backend=supervised", {LIVE_PROGRAM, "forged_messages"})));
}

TEST_CASE("live: mseal past the library is no system call of this kernel") {
  if (!needs_mseal_to_be_notified()) return;
  expect_success(run(preloaded("backend=supervised", {LIVE_PROGRAM, "raw_mseal_is_unknown"})));
}

TEST_CASE("live: the supervisor rests beside first threads that have ended before the others") {
  if (!needs_kcmp()) return;  // forks of one program could not seal
  const TemporaryPath log("supervisor.log");
  expect_success(run(preloaded("backend=supervised,log=" + log.string(),
                               {LIVE_PROGRAM, "supervisor_rests_beside_ended_first_threads", log.string()})));
}

// Before Linux 6.11 the kernel does not wake a supervisor that waits for the next call when there is nobody
// left to make one.
TEST_CASE("live: the supervisor ends with its tree, however many calls came last") {
  const TemporaryPath log("ends.log");
  expect_success(run(preloaded("policy=none,backend=supervised,coverage=all,verbose=1,log=" + log.string(),
                               {LIVE_PROGRAM, "makes_many_calls"})));
  (void)whole_log(log.string());
}

}  // namespace
}  // namespace libmseal::tests
