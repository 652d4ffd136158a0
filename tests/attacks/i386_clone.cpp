// Processes in one memory, made by int 0x80: clone3, clone with garbage in the upper halves of its registers,
// and clone.
#include <sched.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/attacks/attack.h"
#include "tests/attacks/int80.h"

using namespace libmseal::tests;

namespace {

volatile bool g_sealed = false;
volatile long g_answer = 0;
char* volatile g_page = nullptr;

// In the sibling: on a stack of its own, but on nothing else of its own.
[[noreturn]] void sibling() {
  while (!g_sealed) raw_syscall(__NR_sched_yield);
  g_answer = raw_syscall(__NR_munmap, g_page, kPage);
  while (true) raw_syscall(__NR_exit, 0);
}

constexpr std::uint32_t kStack = 0x2000'0000;

// The call that makes a child on kStack: the child runs sibling(), the parent has its number.
long start(std::uint32_t number, std::uint64_t a, std::uint64_t b) {
  long result = static_cast<long>(number);
  asm volatile(
      "int $0x80\n"
      "test %%eax, %%eax\n"
      "jnz 1f\n"
      "xor %%ebp, %%ebp\n"
      "and $-16, %%rsp\n"
      "call *%[run]\n"
      "1:"
      : "+a"(result)
      : "b"(a), "c"(b), "d"(0L), "S"(0L), "D"(0L), [run] "r"(&sibling)
      : "r8", "r9", "r10", "r11", "memory");
  return static_cast<int>(result);
}

}  // namespace

int main() {
  need_int80();
  constexpr std::uint32_t kClone = 120, kClone3 = 435;
  char* const memory = map_at(kStack, 16 * kPage);
  const Victim text = Victim::text();
  g_page = map_at(0, kPage);

  struct CloneArguments {
    std::uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  };
  auto* const arguments = reinterpret_cast<CloneArguments*>(memory);
  *arguments = {CLONE_VM, 0, 0, 0, SIGCHLD, kStack + kPage, 8 * kPage, 0};
  long child = start(kClone3, kStack | kGarbage, sizeof *arguments);
  if (child < 0) {
    std::printf("clone3 by int 0x80: %s\n", std::strerror(static_cast<int>(-child)));
    child = start(kClone, (CLONE_VM | SIGCHLD) | kGarbage, (kStack + 12 * kPage) | kGarbage);
  }
  if (child < 0) {
    std::printf("the same by clone with garbage: %s\n", std::strerror(static_cast<int>(-child)));
    child = start(kClone, (CLONE_VM | CLONE_PARENT | SIGCHLD) | kGarbage, (kStack + 12 * kPage) | kGarbage);
  }
  if (child < 0) {
    std::printf("the same as a child of the parent: %s\n", std::strerror(static_cast<int>(-child)));
    child = start(kClone, CLONE_VM | SIGCHLD, kStack + 12 * kPage);
  }
  if (child < 0) return conclude(text, "clone by int 0x80", child);
  const long sealed = seal(g_page, kPage);
  g_sealed = true;
  ::waitpid(static_cast<pid_t>(child), nullptr, 0);
  if (sealed != 0) return nothing_promised(sealed);
  std::printf("sealed; munmap by the sibling answered %ld\n", g_answer);
  return g_answer == 0 ? kBroken : kHeld;
}
