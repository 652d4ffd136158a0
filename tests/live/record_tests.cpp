// Records of refusals that can't be opened or written.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
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
  const std::pair<std::string, std::string> files[] = {
      {"/nonexistent/file", "no such file"},
      {"/proc", "it is a directory"},
      {pipe.string(), "nobody reads the pipe, or there is no such device"},
      {"/dev/null/x", "part of the path is not a directory"}};
  for (const auto& [file, why] : files) {
    for (const std::string key : {"events=", "log="}) {
      INFO(key << file);
      Command command = preloaded("policy=none,backend=supervised," + key + file, kEcho);
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

TEST_CASE("live: rings of io_setup are made and destroyed, and a line says why one is not") {
  for (const std::string more : {"", ",coverage=all", ",auto=off"}) {
    INFO(more);
    const auto runs = [&](const char* name) {
      expect_success(run(preloaded("policy=none,backend=supervised" + more, {LIVE_PROGRAM, name})));
    };
    runs("destroys_a_ring");
    if (more == ",auto=off") continue;  // these seal, after which no ring may be destroyed there
    runs("many_threads_have_rings");
    runs("moves_memory_beside_rings");
  }
  const TemporaryPath log("ring.log");
  const TemporaryPath events("ring.jsonl");
  const std::string options =
      "policy=none,backend=supervised,log=" + log.string() + ",events=" + events.string();
  expect_success(run(preloaded(options, {LIVE_PROGRAM, "keeps_a_ring_below_a_seal"})));
  CHECK_THAT(log_with(log.string(), "io_destroy"), ContainsSubstring("open=io_destroy allows it"));
  CHECK_THAT(events_in(events.string(), 1), ContainsSubstring("\"call\":\"io_destroy\""));
}

TEST_CASE("live: somebody else's file of events is named") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  namespace fs = std::filesystem;
  const TemporaryPath folder("records");
  const std::string events = folder.string() + "/events";
  const Command command =
      as_nobody(folder.string(), "policy=none,backend=supervised,events=" + events, kEcho);
  std::ofstream(events) << "";
  fs::permissions(events, fs::perms(0600));
  const Run result = run(command);
  CHECK(result.out == "runs\n");
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err, ContainsSubstring("access denied"));
}

TEST_CASE("live: an event names the program, also if its first thread has ended") {
  const TemporaryPath events("events.jsonl");
  expect_success(run(preloaded("policy=none,backend=supervised,events=" + events.string(),
                               {LIVE_PROGRAM, "seals_without_first_thread"})));
  const std::string program = std::string("\"program\":\"") + LIVE_PROGRAM;
  CHECK_THAT(events_in(events.string(), 1), ContainsSubstring(program) && !ContainsSubstring("\"pid "));
}

TEST_CASE("live: events that the disk has no room for are counted and said") {
  const TemporaryPath log("full.log");
  expect_success(
      run(preloaded("policy=none,backend=supervised,mode=audit,events=/dev/full,log=" + log.string(),
                    {LIVE_PROGRAM, "audit_refuses_nothing"})));
  const std::string text = log_with(log.string(), "events were lost");
  CHECK_THAT(text, ContainsSubstring("events=/dev/full: No space left on device; events are being lost") &&
                       ContainsSubstring("events=/dev/full: 6 events were lost"));
}

TEST_CASE(
    "live: a pipe that is read gets events, one that is full holds nobody up, and what is lost is told") {
  const TemporaryPath pipe("fifo");
  const TemporaryPath log("fifo.log");
  REQUIRE(::mkfifo(pipe.string().c_str(), 0600) == 0);
  const int reader = ::open(pipe.string().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  ::fcntl(reader, F_SETPIPE_SZ, 4096);  // takes a few events
  Command command =
      preloaded("policy=none,backend=supervised,mode=audit,events=" + pipe.string() + ",log=" + log.string(),
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
  CHECK_THAT(whole_log(log.string()), ContainsSubstring("events are being lost"));
}

TEST_CASE("live: events under a backend that records none") {
  const TemporaryPath events("none.jsonl");
  std::vector<std::string> backends{"filters", "libc"};
  if (needs_mseal()) backends.emplace_back("kernel");
  for (const std::string& backend : backends) {
    const Run result = run(preloaded("policy=none,backend=" + backend + ",events=" + events.string(), kEcho));
    CHECK(result.out == "runs\n");
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err,
               ContainsSubstring(
                   "is not written: only backend=supervised records events, and the backend is " + backend));
  }
}

}  // namespace
}  // namespace libmseal::tests
