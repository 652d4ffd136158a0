// Records that can't be opened or written, and rules that a backend does not keep.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

const std::vector<std::string> kEcho{"/bin/bash", "-c", "/bin/true; echo runs"};

TEST_CASE("live: a file of events or a log that can't be opened is named before the program starts") {
  const TemporaryPath pipe("fifo");
  REQUIRE(::mkfifo(pipe.string().c_str(), 0600) == 0);
  const std::pair<std::string, std::string> files[] = {{"/nonexistent/file", "no such file"},
                                                       {"/proc", "a folder"},
                                                       {pipe.string(), "a pipe that nobody reads"},
                                                       {"/dev/null/x", "no such folder"}};
  for (const auto& [file, why] : files) {
    for (const std::string key : {"events=", "log="}) {
      INFO(key << file);
      Command command = preloaded("policy=none,backend=seccomp," + key + file, kEcho);
      command.timeout_s = 20;
      const Run result = run(command);
      CHECK(result.status == 0);
      CHECK(result.out == "runs\n");
      CHECK(count_lines(result.err) == 1);
      CHECK_THAT(result.err, ContainsSubstring("libmseal: " + key + file + " can't be written: " + why));
      if (key == "log=" && file != pipe.string()) continue;
      const Run audit = run(preloaded("policy=none,mode=audit," + key + file, kEcho));
      CHECK(audit.status == 127);
      CHECK(audit.out == "");
      CHECK_THAT(audit.err, ContainsSubstring(why) && ContainsSubstring("the program is not started"));
    }
  }
}

TEST_CASE("live: somebody else's file of events is named") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  namespace fs = std::filesystem;
  const TemporaryPath folder("records");
  fs::create_directory(folder.string());
  fs::permissions(folder.string(), fs::perms(0755));
  for (const char* file : {LIBMSEAL_SO, MSEAL_SUPERVISOR})
    fs::copy_file(file, folder.string() / fs::path(file).filename());
  const std::string events = folder.string() + "/events";
  std::ofstream(events) << "";
  fs::permissions(events, fs::perms(0600));
  Command command = preloaded("policy=none,backend=seccomp,events=" + events, kEcho);
  command.environment["LD_PRELOAD"] = folder.string() + "/libmseal.so";
  command.prepare = [] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(124);
  };
  const Run result = run(command);
  CHECK(result.out == "runs\n");
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err, ContainsSubstring("access denied"));
}

TEST_CASE("live: events that the disk has no room for are counted and said") {
  const TemporaryPath log("full.log");
  expect_success(run(preloaded("policy=none,backend=seccomp,mode=audit,events=/dev/full,log=" + log.string(),
                               {LIVE_PROGRAM, "audit_refuses_nothing"})));
  std::string text;
  for (int wait = 0; wait < 100 && text.find("events were lost") == std::string::npos; ++wait) {
    ::usleep(20'000);
    text = text_in(log.string());
  }
  CHECK_THAT(text, ContainsSubstring("events=/dev/full: No space left on device; events are being lost") &&
                       ContainsSubstring("events=/dev/full: 6 events were lost"));
}

TEST_CASE(
    "live: a pipe that is read gets events; one that is full holds nobody up, and what is lost is told") {
  const TemporaryPath pipe("fifo");
  const TemporaryPath log("fifo.log");
  REQUIRE(::mkfifo(pipe.string().c_str(), 0600) == 0);
  const int reader = ::open(pipe.string().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  ::fcntl(reader, F_SETPIPE_SZ, 4096);  // takes a few events
  Command command =
      preloaded("policy=none,backend=seccomp,mode=audit,events=" + pipe.string() + ",log=" + log.string(),
                {"/bin/bash", "-c",
                 std::string(LIVE_PROGRAM) + " audit_refuses_nothing; exec " + LIVE_PROGRAM +
                     " audit_refuses_nothing"});
  command.timeout_s = 30;
  const Run result = run(command);
  CHECK(result.status == 0);
  char buffer[8192];
  const ssize_t got = ::read(reader, buffer, sizeof buffer);
  ::close(reader);
  REQUIRE(got > 0);
  CHECK_THAT(std::string(buffer, static_cast<std::size_t>(got)),
             ContainsSubstring("\"verdict\":\"would refuse\""));
  std::string text;
  for (int wait = 0; wait < 100 && text.find("no process is left") == std::string::npos; ++wait) {
    ::usleep(20'000);
    text = text_in(log.string());
  }
  CHECK_THAT(text, ContainsSubstring("events are being lost"));
}

TEST_CASE("live: events under a backend that records none") {
  const TemporaryPath events("none.jsonl");
  std::vector<std::string> backends{"filter", "libc"};
  if (needs_mseal()) backends.emplace_back("kernel");
  for (const std::string& backend : backends) {
    const Run result = run(preloaded("policy=none,backend=" + backend + ",events=" + events.string(), kEcho));
    CHECK(result.out == "runs\n");
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err, ContainsSubstring("is not written: backend " + backend + " records nothing"));
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
  CHECK_THAT(named,
             ContainsSubstring("backend seccomp instead of kernel: mseal(2) does not keep discard=strict"));
  CHECK(said("discard=strict") == "");
  CHECK_THAT(said("discard=strict,verbose=1"),
             ContainsSubstring("backend seccomp on Linux") &&
                 ContainsSubstring("whose mseal(2) does not keep discard=strict"));
  CHECK_THAT(said("discard=kernel,verbose=1"), ContainsSubstring("backend kernel on Linux"));
  CHECK_THAT(said("verbose=1"), ContainsSubstring("backend kernel on Linux"));
  CHECK(run(preloaded("policy=none,require=kernel,discard=strict", {"/bin/true"})).status == 127);
}

TEST_CASE("live: where a profile refuses mseal(2), that is what is said") {
  Command command = preloaded("policy=none,verbose=1", {"/bin/true"});
  command.prepare = [] {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 462, 0, 1),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{4, filter};
    if (::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) ::_exit(125);
  };
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
  const Run result = run(preloaded("policy=none,backend=filter,require=seccomp", {"/bin/echo", "never"}));
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err,
             ContainsSubstring("require=seccomp cannot be met: a weaker backend is asked for (filter)"));
}

}  // namespace
}  // namespace libmseal::tests
