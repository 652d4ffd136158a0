// A program that has turned off address randomization executes itself: the same process, with the same
// addresses. Another process keeps the memory of the first image. The second one seals something else where
// the first one has sealed a page.
#include <fcntl.h>
#include <sys/personality.h>

#include "tests/attacks/sharer.h"
#include "tests/attacks/successor.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint64_t kSegment = 0x2000'0000;
constexpr std::uint64_t kMoved = 0x2100'0000;
constexpr int kMarker = 77;  // a descriptor that only the second image has

int keep_memory(void*) {
  const long parent = raw_syscall(__NR_getppid);
  for (int descriptor = 0; descriptor <= 2; ++descriptor) (void)raw_syscall(__NR_close, descriptor);
  while (raw_syscall(__NR_getppid) == parent) nap();
  while (true) raw_syscall(__NR_exit, 0);
}

[[noreturn]] void execute(char** arguments) {
  ::execv("/proc/self/exe", arguments);
  cannot_try("execv");
}

void be_first(char** arguments) {
  for (const std::uint64_t place : {kSegment, kMoved}) {
    char* const page = map_at(place, kPage);
    const long sealed = seal(page, kPage);
    if (sealed != 0) leave(nothing_promised(sealed));
  }
  if (::clone(keep_memory, stack_top<1>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  (void)::dup2(STDOUT_FILENO, kMarker);
  execute(arguments);
}

}  // namespace

int main(int, char** arguments) {
  const int now = ::personality(~0U);
  if ((now & ADDR_NO_RANDOMIZE) == 0) {
    if (::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) < 0) cannot_try("personality");
    execute(arguments);
  }
  if (::fcntl(kMarker, F_GETFD) < 0) be_first(arguments);
  return worse_of(seal_and_detach_segment(kSegment), seal_and_discard(kMoved));
}
