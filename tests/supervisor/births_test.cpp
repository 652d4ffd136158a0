// What the kernel says of the births so far.
#include "shim/common/births.h"

#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "shim/supervisor/processes/proc.h"
#include "tests/support/catch.h"

namespace libmseal::tests {

using shim::Births;

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST_CASE("without a clock nothing is known to be recent") {
  const shim::Births before{100, 0, 0};
  CHECK_FALSE(shim::Births{100, 0, 0}.none_since(before));
  CHECK_FALSE(shim::Births{101, 0, 0}.few_since(before, 32768));
  CHECK(shim::Births{101, 2, 0}.few_since({100, 1, 0}, 32768));
}

TEST_CASE("a number that was read long after the clock is not recent") {
  const Births before{100, 1, 0};
  CHECK(Births{101, 2, 0, 3}.few_since(before, 32768));
  CHECK_FALSE(Births{101, 2, 0, kSecond}.few_since(before, 32768));
  CHECK_FALSE(Births{100, 2, 0, kSecond}.none_since(before));
}

TEST_CASE("the last number and the count of births are read, or not known") {
  CHECK(shim::parse_last_number("0.25 2.23 3.62 1/134 7398\n") == 7398);
  CHECK(shim::parse_last_number("") == 0);
  CHECK(shim::parse_last_number("garbage") == 0);
  CHECK(shim::parse_count_of_births("cpu  1 2\nctxt 5\nprocesses 86031\nprocs_running 6\n") == 86031);
  CHECK(shim::parse_count_of_births("cpu  1 2\nprocesses 860") == 0);
  CHECK(shim::parse_count_of_births("cpu  1 2\nprocs_running 6\n") == 0);
  CHECK(shim::parse_count_of_births("") == 0);
}

TEST_CASE("that nobody was born since is known by the count, or by the number if it was a short time ago") {
  const Births before{100, kSecond, 5000};
  CHECK(Births{100, 1000 * kSecond, 5000}.none_since(before));
  CHECK_FALSE(Births{100, 1000 * kSecond, 5001}.none_since(before));
  CHECK_FALSE(Births{100, 1000 * kSecond, 0}.none_since(before));
  CHECK(Births{100, kSecond + 1, 0}.none_since(before));
  CHECK_FALSE(Births{101, kSecond + 1, 0}.none_since(before));
  CHECK_FALSE(Births{0, kSecond + 1, 0}.none_since({0, kSecond, 0}));
}

TEST_CASE("few births are those whose numbers can have come around in no way") {
  const Births before{100, kSecond, 0};
  CHECK(Births{110, kSecond + 1, 0}.few_since(before, 32768));
  CHECK_FALSE(Births{110, kSecond + kSecond / 2, 0}.few_since(before, 32768));
  CHECK(Births{110, kSecond + kSecond / 2, 0}.few_since(before, 4'194'304));
  CHECK_FALSE(Births{90, kSecond + 1, 0}.few_since(before, 32768));
  CHECK_FALSE(Births{9000, kSecond + 1, 0}.few_since(before, 32768));
}

TEST_CASE("the kernel counts a birth") {
  policy::Trouble trouble = policy::Trouble::none;
  const auto proc = supervisor::open_proc(getpid(), trouble);
  REQUIRE(proc != nullptr);
  const Births before = proc->births();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  REQUIRE(child > 0);
  const Births after = proc->births();
  CHECK(before.count != 0);
  CHECK(after.count > before.count);
  CHECK(after.last != before.last);
  CHECK_FALSE(after.none_since(before));
  waitpid(child, nullptr, 0);
}

}  // namespace libmseal::tests
