// Threads of a child that are held, and what becomes of them when their holder fails.
#include "shim/supervisor/sealing/thread_holder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "tests/supervisor/fake_proc.h"
#include "tests/support/catch.h"
#include "tests/support/waiting.h"

namespace libmseal::tests {
namespace {

using supervisor::HeldThreads;
using supervisor::ThreadHolder;

template <class Body>
pid_t start_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(7);
  }
  REQUIRE(child > 0);
  return child;
}

// Within a second it is let go of, ends, and has ended as it wanted to.
void check_goes_on(ThreadHolder& holder, pid_t child) {
  for (int naps = 0; holder.let_go() && naps < 1000; ++naps) ::usleep(1000);
  CHECK_FALSE(holder.has_some_to_let_go());
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("threads that are held when something throws are let go of") {
  const pid_t child = start_child([] { ::usleep(200'000); });
  FakeProc proc;
  proc.first(child, 1);
  proc.where = ReadResult<policy::Whereabouts>::seen(policy::Whereabouts::in_call);
  ThreadHolder holder(proc);
  try {
    HeldThreads held(holder);
    CHECK(holder.hold({&child, 1}, 0, held) == ThreadHolder::Result::held);
    CHECK_FALSE(held.empty());
    throw std::runtime_error("no memory, say");
  } catch (const std::runtime_error&) {
    CHECK(holder.has_some_to_let_go());
  }
  check_goes_on(holder, child);
}

TEST_CASE("a thread that another holds already has left its call") {
  const pid_t child = start_child([] { ::usleep(200'000); });
  FakeProc proc;
  proc.first(child, 1);
  proc.where = ReadResult<policy::Whereabouts>::seen(policy::Whereabouts::in_call);
  ThreadHolder holder(proc);
  {
    HeldThreads held(holder);
    CHECK(holder.hold({&child, 1}, 0, held) == ThreadHolder::Result::held);
    HeldThreads own(holder);
    CHECK(holder.has_left_call(child, own));
    CHECK(held.empty());
  }
  check_goes_on(holder, child);
}

// The kernel answers EPERM, as for one that may not be traced.
TEST_CASE("a thread that ends before it is attached is not taken for one that may not be stopped") {
  const pid_t child = start_child([] {});
  REQUIRE(eventually([&] { return state_of(child) == 'Z'; }));
  FakeProc proc;
  proc.first(child, 1).state = 'Z';
  proc.where = ReadResult<policy::Whereabouts>::seen(policy::Whereabouts::in_call);
  ThreadHolder holder(proc);
  HeldThreads held(holder);
  CHECK(holder.hold({&child, 1}, 0, held) == ThreadHolder::Result::held);
  CHECK(held.empty());
  CHECK(holder.take_out_of_call(child));
  check_goes_on(holder, child);
}

// A thread that waits for its vfork child can not be stopped.
TEST_CASE("a thread that does not stop in time is let go of later") {
  const pid_t child = start_child([] {
    if (::vfork() == 0) {
      ::usleep(1'500'000);
      ::_exit(0);
    }
  });
  // It sleeps there so that it can't be interrupted.
  REQUIRE(eventually([&] { return state_of(child) == 'D'; }));
  FakeProc proc;
  proc.first(child, 1);
  proc.where = ReadResult<policy::Whereabouts>::seen(policy::Whereabouts::cloning);
  ThreadHolder holder(proc);
  CHECK_FALSE(holder.take_out_of_call(child));
  CHECK(holder.has_some_to_let_go());
  check_goes_on(holder, child);
}

}  // namespace
}  // namespace libmseal::tests
