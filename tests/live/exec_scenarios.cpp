// Threads that call execve while others seal.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"
#include "tests/support/waiting.h"

namespace libmseal::tests {
namespace {

// A thread of a child calls execve while others run and one of them seals, so that it meets the supervisor,
// which stops them. Each waits for the other in the kernel then, unless the supervisor takes care.
void execs_while_others_seal(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 2);
  const bool first_thread_execs = std::string_view(arguments[1]) == "first";
  for (int count = std::stoi(arguments[0]); count > 0; --count) {
    const pid_t child = ::fork();
    REQUIRE_OR_STOP(child >= 0);
    if (child == 0) {
      const auto runs = [] {
        for (volatile bool goes_on = true; goes_on;) {
        }
      };
      const auto seals = [] {
        while (true) (void)::mseal(readable_page(), page_size(), 0);
      };
      const auto execs = [count] {
        ::usleep(static_cast<useconds_t>(500 + count * 37 % 3000));
        ::execl("/bin/true", "true", nullptr);
        ::_exit(1);
      };
      std::thread(runs).detach();
      std::thread(runs).detach();
      std::thread(seals).detach();
      if (first_thread_execs) execs();
      std::thread(execs).detach();
      while (true) ::pause();
    }
    const bool ended = eventually([child] { return ::waitpid(child, nullptr, WNOHANG) == child; });
    if (!ended) ::kill(child, SIGKILL);
    REQUIRE_OR_STOP(ended);
  }
}

// Holds a lease on the file, until a byte comes: an open of the file waits meanwhile, as on a slow file
// system. Writes a byte when it has the lease, and another when somebody waits.
[[noreturn]] void hold_lease(const std::string& path, int told, int until) {
  sigset_t waits;
  ::sigemptyset(&waits);
  ::sigaddset(&waits, SIGIO);
  ::sigprocmask(SIG_BLOCK, &waits, nullptr);
  const int file = ::open(path.c_str(), O_RDWR);
  char one = ::fcntl(file, F_SETLEASE, F_WRLCK) == 0 ? 'y' : 'n';
  (void)!::write(told, &one, 1);
  int signal = 0;
  ::sigwait(&waits, &signal);
  (void)!::write(told, &one, 1);
  (void)!::read(until, &one, 1);
  ::_exit(0);
}

// An execve that waits for a file: a seal beside it waits for it too, and then succeeds. Others do not wait.
void seals_beside_slow_exec(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  const std::string script = std::string(arguments[0]) + "/script";
  const std::string interpreter = std::string(arguments[0]) + "/interpreter";
  std::ofstream(script) << "#!" << interpreter << "\n";
  std::ofstream(interpreter) << "no program";
  REQUIRE_OR_STOP(::chmod(script.c_str(), 0700) == 0 && ::chmod(interpreter.c_str(), 0700) == 0);
  int told[2];
  int until[2];
  REQUIRE_OR_STOP(::pipe(told) == 0 && ::pipe(until) == 0);
  const pid_t holder = ::fork();
  if (holder == 0) hold_lease(interpreter, told[1], until[0]);
  char one = 0;
  REQUIRE_OR_STOP(::read(told[0], &one, 1) == 1 && one == 'y');

  char* const page = readable_page();
  char* const other = readable_page();
  // Created before, so that it only has to seal: the first seal is not tried for ever.
  int go[2];
  REQUIRE_OR_STOP(::pipe(go) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    (void)!::read(go[0], &one, 1);
    ::_exit(::mseal(other, page_size(), 0) == 0 ? 0 : 1);
  }
  std::atomic<bool> is_slow = false;
  std::atomic<bool> sealed = false;
  std::atomic<bool> executed = false;
  // Before, because there can be no new threads during an execve.
  std::thread sealer([&] {
    while (!is_slow) ::usleep(1000);
    EXPECT(::mseal(page, page_size(), 0) == 0);
    sealed = true;
  });
  std::thread computes([&] {
    while (!executed) {
    }
  });
  std::thread executer([&] {
    // The holder may still have the file open for writing when the lease is gone.
    EXPECT(::execl(script.c_str(), script.c_str(), nullptr) == -1 && (errno == ENOEXEC || errno == ETXTBSY));
    executed = true;
  });
  EXPECT(::read(told[0], &one, 1) == 1);
  is_slow = true;
  EXPECT(::write(go[1], &one, 1) == 1);
  EXPECT(ends_with(child, 0));
  EXPECT(!executed);
  EXPECT(::write(until[1], &one, 1) == 1);
  executer.join();
  computes.join();
  sealer.join();
  EXPECT(sealed);
  EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
  EXPECT(::waitpid(holder, nullptr, 0) == holder);
}

constexpr Scenario kScenarios[] = {
    {"execs_while_others_seal", execs_while_others_seal},
    {"seals_beside_slow_exec", seals_beside_slow_exec},
};

}  // namespace

std::span<const Scenario> exec_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
