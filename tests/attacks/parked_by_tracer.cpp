// A tracer holds a thread at the entry of a harmless call from before the first seal, when no filter looked
// at it. Once the page is sealed, the tracer turns that call into munmap.
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// Until the thread is at the entry of getppid: its registers there.
user_regs_struct park(pid_t thread) {
  int status = 0;
  if (::ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_TRACESYSGOOD) != 0) ::_exit(kCannotTry);
  (void)::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
  (void)::waitpid(thread, &status, __WALL);
  user_regs_struct registers{};
  constexpr auto kAtEntry = static_cast<unsigned long long>(-ENOSYS);
  while (WSTOPSIG(status) != (SIGTRAP | 0x80) || registers.rax != kAtEntry ||
         registers.orig_rax != __NR_getppid) {
    (void)::ptrace(PTRACE_SYSCALL, thread, nullptr, nullptr);
    if (::waitpid(thread, &status, __WALL) != thread) ::_exit(kCannotTry);
    (void)::ptrace(PTRACE_GETREGS, thread, nullptr, &registers);
  }
  return registers;
}

[[noreturn]] void trace(pid_t thread, const char* page, int tell, int wait) {
  user_regs_struct registers = park(thread);
  char byte = 'p';
  if (::write(tell, &byte, 1) != 1 || ::read(wait, &byte, 1) != 1) ::_exit(kCannotTry);
  registers.orig_rax = __NR_munmap;
  registers.rdi = reinterpret_cast<std::uint64_t>(page);
  registers.rsi = kPage;
  (void)::ptrace(PTRACE_SETREGS, thread, nullptr, &registers);
  (void)::ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
  ::_exit(0);
}

}  // namespace

int main() {
  (void)::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  std::atomic<long> id = 0;
  std::atomic<bool> done = false;
  std::atomic<long> answer = 0;  // the first that is no process number
  std::thread thread([&] {
    id = raw_syscall(__NR_gettid);
    while (!done) {
      const long parent = raw_syscall(__NR_getppid);
      if (parent <= 0 && answer == 0) answer = parent;
      ::usleep(1000);
    }
  });
  while (id == 0) ::usleep(100);
  int parked[2];
  int go_on[2];
  if (::pipe(parked) != 0 || ::pipe(go_on) != 0) cannot_try("pipe");
  const pid_t tracer = ::fork();
  if (tracer == 0) trace(static_cast<pid_t>(id), page, parked[1], go_on[0]);
  ::close(parked[1]);
  char byte = 0;
  if (::read(parked[0], &byte, 1) != 1) cannot_try("ptrace");
  const Victim victim = Victim::sealed_already(page, kPage);
  const long sealed = seal(page, kPage);
  if (::write(go_on[1], &byte, 1) != 1) cannot_try("the tracer");
  (void)outcome_of(tracer);
  ::usleep(20'000);
  done = true;
  thread.join();
  return sealed != 0 ? nothing_promised(sealed) : conclude(victim, "munmap by a tracer", answer);
}
