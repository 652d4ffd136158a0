// A program that has turned off address randomization executes itself: the same process, with the same
// addresses. Another process keeps the memory of the first image.
#pragma once

#include <fcntl.h>
#include <sys/personality.h>

#include "tests/attacks/sharer.h"

namespace libmseal::tests {

inline long g_first_image = 0;  // its process, which may have ended before the other one runs

inline int keep_memory(void*) {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) (void)raw_syscall(__NR_close, descriptor);
  while (raw_syscall(__NR_getppid) == g_first_image) nap();
  while (true) raw_syscall(__NR_exit, 0);
}

[[noreturn]] inline void execute_itself(char** arguments) {
  ::execv("/proc/self/exe", arguments);
  cannot_try("execv");
}

// Returns in the second image. The first one seals a page at each of these places.
inline void be_second_image(char** arguments, std::initializer_list<std::uint64_t> places) {
  constexpr int kMarker = 77;  // a descriptor that only the second image has
  const int now = ::personality(~0U);
  if ((now & ADDR_NO_RANDOMIZE) == 0) {
    if (::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) < 0) cannot_try("personality");
    execute_itself(arguments);
  }
  if (::fcntl(kMarker, F_GETFD) >= 0) return;
  for (const std::uint64_t place : places) {
    const long sealed = seal(map_at(place, kPage), kPage);
    if (sealed != 0) leave(nothing_promised(sealed));
  }
  g_first_image = ::getpid();
  if (::clone(keep_memory, stack_top<1>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  (void)::dup2(STDOUT_FILENO, kMarker);
  execute_itself(arguments);
}

}  // namespace libmseal::tests
