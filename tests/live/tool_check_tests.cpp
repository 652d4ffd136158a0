// mseal check and status: what they say of the kernel and of processes.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "shim/common/no_copy.h"
#include "tests/live/runs.h"
#include "tests/live/tool.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/filters.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

using nlohmann::json;

TEST_CASE("tool: check says what the kernel offers, for people and for programs") {
  const Run text = tool({"check"});
  CHECK(text.status == 0);
  CHECK(text.err == "");
  CHECK_THAT(text.out, ContainsSubstring("seccomp listener     yes") && ContainsSubstring("backend "));
  const json all = json::parse(tool({"check", "--json"}).out);
  CHECK(all["features"]["seccomp filters"] == true);
  const bool native = all["features"]["mseal(2)"];
  CHECK(all["backend"] == (native ? "kernel" : "supervised"));
}

TEST_CASE("tool: check finds the same with standard input and error closed") {
  const Run usual = tool({"check"});
  Command command{{MSEAL_TOOL, "check"}, {{"MSEAL_OPTIONS", ""}}, {}, 60};
  command.prepare = [] {
    ::close(0);
    ::close(2);
  };
  const Run closed = run(command);
  CHECK(closed.status == usual.status);
  CHECK(closed.out == usual.out);
}

TEST_CASE("tool: check says who else filters, and what to change") {
  const auto checked = [](int number, std::uint32_t action, unsigned flags = 0) {
    Command command{{MSEAL_TOOL, "check"}, {{"MSEAL_OPTIONS", "backend=supervised"}}, {}, 60};
    command.prepare = [=] { ::fcntl(answer_with(number, action, flags), F_SETFD, 0); };
    const Run result = run(command);
    CHECK(result.status == (result.out.find("\nbackend supervised on") != std::string::npos ? 0 : 1));
    return result.out;
  };
  CHECK_THAT(checked(999, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER),
             ContainsSubstring("seccomp listener     no: another supervisor has one here") &&
                 ContainsSubstring("backend filters instead of supervised"));
  for (const std::uint32_t error : {EPERM, 0}) {  // the latter pretends that it succeeds
    CHECK_THAT(checked(__NR_seccomp, SECCOMP_RET_ERRNO | error),
               ContainsSubstring("seccomp filters      no: a profile refuses seccomp(2)") &&
                   ContainsSubstring("backend libc instead of supervised"));
  }
  CHECK_THAT(checked(__NR_seccomp, SECCOMP_RET_KILL_PROCESS),
             ContainsSubstring("seccomp filters      no: a filter kills programs that call seccomp(2)") &&
                 ContainsSubstring("backend libc instead of supervised"));
  CHECK_THAT(checked(462, SECCOMP_RET_ERRNO | ENOSYS),
             ContainsSubstring("mseal(2)             no: a seccomp profile answers it (ENOSYS)") &&
                 ContainsSubstring("backend supervised on"));
  CHECK_THAT(checked(462, SECCOMP_RET_KILL_PROCESS),
             ContainsSubstring("mseal(2)             no: a filter kills programs that call it") &&
                 ContainsSubstring("backend libc instead of supervised"));
}

TEST_CASE("tool: check goes by MSEAL_OPTIONS, and says so") {
  const Run weak = tool({"check"}, "policy=none,backend=filters");
  CHECK(weak.status == 1);
  CHECK_THAT(weak.out,
             ContainsSubstring("with MSEAL_OPTIONS=policy=none,backend=filters:\nbackend filters on Linux"));
  const Run strong = tool({"check"}, "policy=none,backend=supervised,auto=off");
  CHECK(strong.status == 0);
  CHECK_THAT(strong.out, ContainsSubstring("backend supervised on Linux"));
  CHECK(json::parse(tool({"check", "--json"}, "policy=none,backend=libc").out)["backend"] == "libc");
  const Run never = tool({"check"}, "policy=none,backend=filters,require=kernel");
  CHECK(never.status == 1);
  CHECK_THAT(never.out, ContainsSubstring("require=kernel cannot be met"));
}

// A program under the library that runs, and waits.
class Waiting : shim::NoCopy {
 public:
  explicit Waiting(const std::string& options) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    process_ = ::fork();
    if (process_ == 0) {
      for (const int stream : {0, 1}) ::dup2(ends[1], stream);
      ::setenv("LD_PRELOAD", LIBMSEAL_SO, 1);
      ::setenv("MSEAL_OPTIONS", options.c_str(), 1);
      ::execl("/bin/cat", "cat", nullptr);
      ::_exit(126);
    }
    ::close(ends[1]);
    end_ = ends[0];
    char byte = 'x';
    REQUIRE((::write(end_, &byte, 1) == 1 && ::read(end_, &byte, 1) == 1));
  }
  ~Waiting() {
    ::close(end_);
    ::waitpid(process_, nullptr, 0);
  }
  [[nodiscard]] std::string id() const { return std::to_string(process_); }

 private:
  pid_t process_ = -1;
  int end_ = -1;
};

std::uint64_t size_of(const std::string& range) {
  const std::size_t dash = range.find('-');
  return std::stoull(range.substr(dash + 1), nullptr, 16) - std::stoull(range, nullptr, 16);
}

TEST_CASE("tool: status tells a process that nobody has sealed from what is no process") {
  const Waiting unsealed("auto=off");
  CHECK(tool({"status", unsealed.id()}).status == 1);
  CHECK(tool({"status", "999999999"}).status == 2);
  CHECK(tool({"status", "nobody"}).status == 2);
}

TEST_CASE("tool: status shows what of a process is sealed") {
  if (!needs_map_files()) return;
  const Waiting sealed("backend=supervised");
  const Run text = tool({"status", sealed.id()});
  INFO(text.err);
  CHECK(text.status == 0);
  CHECK_THAT(text.out, ContainsSubstring("KiB sealed in ") && ContainsSubstring("under a supervisor"));
  CHECK(text.out.find('\033') == std::string::npos);  // no terminal, no colour
  const json all = json::parse(tool({"status", "--json", sealed.id()}).out);
  CHECK(all["supervised"] == true);
  long text_segments = 0;
  std::uint64_t bytes = 0;
  for (const json& line : all["maps"]) {
    const std::string name = line["name"];
    if (name.ends_with("/cat") && line["state"] == "sealed") ++text_segments;
    if (name == "[stack]") CHECK(line["state"] == "-");
    // It lies in the sealed area: so it is in no list of seals.
    if (name.starts_with("/memfd:libmseal-table")) CHECK(line["state"] == "sealed");
    if (line["state"] == "sealed") bytes += size_of(line["range"]);
  }
  CHECK(text_segments >= 3);
  CHECK(all["sealed_bytes"] == bytes);

  const json everybody = json::parse(tool({"status", "--json"}).out);
  CHECK(std::count_if(everybody.begin(), everybody.end(), [&](const json& one) {
          return one["pid"] == std::stoi(sealed.id()) && one["sealed_bytes"] == all["sealed_bytes"];
        }) == 1);
  CHECK_THAT(tool({"status"}).out, ContainsSubstring(sealed.id() + " ") && ContainsSubstring("/cat\n"));
}

TEST_CASE("tool: without /proc") {
  const auto check = without_proc(MSEAL_TOOL " check");
  if (!check) return;
  CHECK(check->status == 1);
  CHECK(check->err == "");
  CHECK_THAT(check->out, ContainsSubstring("/proc                no: nothing can be sealed") &&
                             ContainsSubstring("the loaded objects are not sealed"));
  const auto ran = without_proc(MSEAL_TOOL " run --backend=supervised --coverage=all -- /bin/echo runs");
  CHECK(ran->out == "runs\n");
  CHECK(count_lines(ran->err) == 2);
  CHECK_THAT(without_proc(MSEAL_TOOL " status")->err, ContainsSubstring("/proc is not mounted"));
}

}  // namespace
}  // namespace libmseal::tests
