// Seals in programs with threads, forked children, signals and changes of user.
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <algorithm>

#include <filesystem>
#include <string>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

TEST_CASE("live: workers of another user, where the supervisor may not look at them") {
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all"}) {
    DYNAMIC_SECTION(options) {
      Command command = preloaded(options, {LIVE_PROGRAM, "workers_of_another_user"});
      command.prepare = [] {
        if (::prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE) != 0) ::_exit(124);
      };
      expect_success(run(command));
    }
  }
}

TEST_CASE("live: a process that hides itself goes on sealing") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all"}) {
    const TemporaryPath copies("nobody");
    const Run result = run(
        as_nobody(copies.string(), options, {copies.string() + "/live_program", "hidden_process_seals_on"}));
    expect_success(result);
    CHECK(result.err == "");
  }
}

TEST_CASE("live: where a hidden process can't inspect its threads, nothing is sealed, and one line says so") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  for (const char* options : {"backend=supervised", "backend=filters"}) {
    const TemporaryPath copies("nobody");
    const Run result = run(as_nobody(copies.string(), options,
                                     {copies.string() + "/live_program", "hidden_threads_prevent_sealing"}));
    expect_success(result);
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err, ContainsSubstring("the program is not dumpable"));
  }
}

TEST_CASE("live: programs that start with standard input, output or error closed are sealed") {
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"}) {
    for (int closed = 1; closed < 8; ++closed) {
      Command command = preloaded(options, {LIVE_PROGRAM, "fork_inherits"});
      command.prepare = [closed] {
        for (int standard = 0; standard <= 2; ++standard) {
          if ((closed >> standard & 1) != 0) ::close(standard);
        }
      };
      INFO(options << ", closed: " << closed);
      expect_success(run(command));
    }
  }
}

TEST_CASE("live: no seal is promised while a vfork child runs in the memory") {
  for (const char* options : {"backend=supervised", "backend=supervised,auto=off"}) {
    const Run result = run(preloaded(options, {LIVE_PROGRAM, "vfork_child_prevents_sealing"}));
    expect_success(result);
    CHECK_THAT(result.err, ContainsSubstring("another process shares this memory"));
  }
}

TEST_CASE("live: a seal is not kept waiting by the calls of others") {
  scenario("backend=supervised", "seal_waits_among_busy_children");
}

TEST_CASE("live: a thread with filters of its own prevents sealing, and one line says so") {
  for (const char* backend : {"backend=supervised", "backend=filters"}) {
    const Run result = run(preloaded(backend, {LIVE_PROGRAM, "own_filters_on_one_thread"}));
    expect_success(result);
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err,
               ContainsSubstring("a thread of this program installed seccomp filters of its own"));
  }
}

TEST_CASE("live: a thread that had filters of its own before the first seal is said, whatever the parent") {
  const Run result =
      run(preloaded("backend=supervised,auto=off",
                    {"/bin/sh", "-c", "\"$0\" own_filters_on_one_thread; true", LIVE_PROGRAM}));
  CHECK_THAT(result.err,
             ContainsSubstring("a thread has filters of its own (ESRCH); only libc calls are checked"));
}

TEST_CASE("live: what a thread has sealed stays sealed when the thread has ended") {
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"})
    scenario(options, "seals_outlive_their_thread");
}

TEST_CASE(
    "live: the child of a program with threads starts programs, whatever another thread did at the fork") {
  for (const char* options : {"backend=supervised", "backend=filters", "backend=libc"})
    scenario(std::string(options) + ",require=libc", "child_of_threads_starts_programs");
}

TEST_CASE("live: a program whose first thread has ended has a supervisor") {
  for (const char* options : {"backend=supervised,require=supervised,auto=off",
                              "backend=supervised,require=supervised,auto=off,coverage=all"}) {
    const Run result = run(preloaded(options, {LIVE_PROGRAM, "seals_without_first_thread"}));
    expect_success(result);
    CHECK(result.err == "");
  }
}

// /proc shows an ordinary user less of that thread than root.
TEST_CASE("live: an ordinary user's program seals after its first thread has ended") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  const std::string options = GENERATE("backend=supervised", "backend=supervised,coverage=all",
                                       "backend=supervised,auto=off", "backend=filters");
  const TemporaryPath copies("nobody");
  const Run result = run(
      as_nobody(copies.string(), options, {copies.string() + "/live_program", "seals_without_first_thread"}));
  expect_success(result);
  CHECK(result.err == "");
}

TEST_CASE("live: a thread calls execve while the supervisor stops the others of its process") {
  const std::string options = GENERATE("backend=supervised", "backend=supervised,coverage=all");
  const std::string who = GENERATE("first", "other");
  const std::string rounds = std::to_string(std::max(1, 100 / patience()));
  Command command =
      preloaded("policy=none," + options, {LIVE_PROGRAM, "execs_while_others_seal", rounds, who});
  command.timeout_s = 120;
  expect_success(run(command));
}

TEST_CASE("live: a seal beside an execve that waits for a file succeeds, and nobody else waits") {
  const std::string options = GENERATE("backend=supervised", "backend=supervised,coverage=all");
  const TemporaryPath folder("slow-exec");
  std::filesystem::create_directory(folder.string());
  expect_success(
      run(preloaded("policy=none," + options, {LIVE_PROGRAM, "seals_beside_slow_exec", folder.string()})));
}

TEST_CASE("live: a thread seals while another goes through the loaded objects") {
  for (const char* options : {"backend=supervised", "backend=filters", "backend=libc"})
    scenario(std::string(options) + ",require=libc", "seals_while_the_list_is_locked");
}

TEST_CASE("live: a heap grows and shrinks under signals, and malloc with it") {
  for (const char* options : {"coverage=all", "mode=audit"})
    scenario(std::string("backend=supervised,") + options, "heap_grows_under_signals");
}

}  // namespace
}  // namespace libmseal::tests
