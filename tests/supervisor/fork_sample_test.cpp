// What the kernel says of the forks so far.
#include "shim/common/fork_sample.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>

#include "shim/supervisor/processes/proc.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"

namespace libmseal::tests {

using shim::ForkSample;

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST_CASE("without a clock nothing is known to be recent") {
  const shim::ForkSample before{100, 0, 0};
  CHECK_FALSE(shim::ForkSample{100, 0, 0}.none_since(before));
  CHECK_FALSE(shim::ForkSample{101, 0, 0}.few_since(before, 32768));
  CHECK(shim::ForkSample{101, 2, 0}.few_since({100, 1, 0}, 32768));
}

// As container runtimes do, read-only.
TEST_CASE("after how many forks numbers wrap around is read where /proc/sys is mounted over itself") {
  std::uint64_t most = 0;
  REQUIRE(std::ifstream("/proc/sys/kernel/pid_max") >> most);
  CHECK(holds_in_child([most] {
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("/proc/sys", "/proc/sys", nullptr, MS_BIND | MS_REC, nullptr) == 0;
    const shim::ProcRoot proc;
    char text[32];
    const bool hidden = proc.read(shim::ProcPath("sys/kernel/pid_max"), text) == -EXDEV;
    return (hidden || !mounted) && shim::pid_max(proc) == most;
  }));
}

TEST_CASE("a number that was read long after the clock is not recent") {
  const ForkSample before{100, 1, 0};
  CHECK(ForkSample{101, 2, 0, 3}.few_since(before, 32768));
  CHECK_FALSE(ForkSample{101, 2, 0, kSecond}.few_since(before, 32768));
  CHECK_FALSE(ForkSample{100, 2, 0, kSecond}.none_since(before));
}

TEST_CASE("the last number and the count of forks are read, or not known") {
  CHECK(shim::parse_last_pid("0.25 2.23 3.62 1/134 7398\n") == 7398);
  CHECK(shim::parse_last_pid("") == 0);
  CHECK(shim::parse_last_pid("garbage") == 0);
  CHECK(shim::parse_fork_count("cpu  1 2\nctxt 5\nprocesses 86031\nprocs_running 6\n") == 86031);
  CHECK(shim::parse_fork_count("cpu  1 2\nprocesses 860") == 0);
  CHECK(shim::parse_fork_count("cpu  1 2\nprocs_running 6\n") == 0);
  CHECK(shim::parse_fork_count("") == 0);
}

TEST_CASE("that nobody was born since is known by the count, or by the number if it was a short time ago") {
  const ForkSample before{100, kSecond, 5000};
  CHECK(ForkSample{100, 1000 * kSecond, 5000}.none_since(before));
  CHECK_FALSE(ForkSample{100, 1000 * kSecond, 5001}.none_since(before));
  CHECK_FALSE(ForkSample{100, 1000 * kSecond, 0}.none_since(before));
  CHECK(ForkSample{100, kSecond + 1, 0}.none_since(before));
  CHECK_FALSE(ForkSample{101, kSecond + 1, 0}.none_since(before));
  CHECK_FALSE(ForkSample{0, kSecond + 1, 0}.none_since({0, kSecond, 0}));
}

TEST_CASE("few forks are those whose numbers can have come around in no way") {
  const ForkSample before{100, kSecond, 0};
  CHECK(ForkSample{110, kSecond + 1, 0}.few_since(before, 32768));
  CHECK_FALSE(ForkSample{110, kSecond + kSecond / 2, 0}.few_since(before, 32768));
  CHECK(ForkSample{110, kSecond + kSecond / 2, 0}.few_since(before, 4'194'304));
  CHECK_FALSE(ForkSample{90, kSecond + 1, 0}.few_since(before, 32768));
  CHECK_FALSE(ForkSample{9000, kSecond + 1, 0}.few_since(before, 32768));
}

TEST_CASE("the kernel counts a fork") {
  policy::Trouble trouble = policy::Trouble::none;
  const auto proc = supervisor::open_proc(getpid(), trouble);
  REQUIRE(proc != nullptr);
  const ForkSample before = proc->sample_forks();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  REQUIRE(child > 0);
  const ForkSample after = proc->sample_forks();
  CHECK(before.count != 0);
  CHECK(after.count > before.count);
  CHECK(after.last != before.last);
  CHECK_FALSE(after.none_since(before));
  waitpid(child, nullptr, 0);
}

}  // namespace libmseal::tests
