// Processes that run in this memory without being threads of this process.
#pragma once

#include <sched.h>

#include <csignal>

#include "shim/common/clock.h"
#include "tests/attacks/attack.h"

namespace libmseal::tests {

struct Sharer {
  volatile bool runs = false;    // it has started
  volatile bool sealed = false;  // now it may try
  volatile bool done = false;
  volatile long answer = 0;
  char* volatile page = nullptr;
};
inline Sharer g_sharer;

inline void nap() {
  shim::nap(1'000'000);
}

// What the sharer does once it is where it wants to be. It owns nothing but its stack: system calls only.
[[noreturn]] inline void share() {
  g_sharer.runs = true;
  while (!g_sharer.sealed) nap();
  g_sharer.answer = raw_syscall(__NR_munmap, g_sharer.page, kPage);
  g_sharer.done = true;
  while (true) raw_syscall(__NR_exit, 0);
}

template <int Which>
char* stack_top() {
  alignas(16) static char stack[kLargestPage];
  return stack + sizeof stack;
}

inline constexpr int kNextThread =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
inline int g_generation = 0;

// In a relay each makes the next, as a process or a thread of this memory, and ends.
inline void make_next(int (*relay)(void*), int kind) {
  constexpr int kStacks = 8;
  alignas(16) static char stacks[kStacks][kLargestPage];
  char* const top = stacks[g_generation++ % kStacks] + kLargestPage;
  if (::clone(relay, top, kind, nullptr) < 0) leave(kCannotTry);
}

// Seals a page while the sharer is there, lets it try, and says what came of it.
inline int seal_beside_sharer() {
  for (int moments = 0; !g_sharer.runs; ++moments) {
    if (moments == 5000) cannot_try("the sharer does not run");
    nap();
  }
  g_sharer.page = map_at(0, kPage);
  std::memset(g_sharer.page, 'v', kPage);
  const long sealed = seal(g_sharer.page, kPage);
  if (sealed != 0) {
    g_sharer.sealed = true;
    return nothing_promised(sealed);
  }
  const Victim victim(g_sharer.page, kPage);
  g_sharer.sealed = true;
  for (int moments = 0; !g_sharer.done && moments < 5000; ++moments) nap();
  if (!g_sharer.done) cannot_try("the sharer does not end");
  return conclude(victim, "munmap by the sharer", g_sharer.answer);
}

// What mseal of the page answers in a process that this one makes, and that shares its memory.
inline long seal_by_sharer(char* page) {
  g_sharer.page = page;
  const auto body = [](void*) -> int {
    g_sharer.answer = seal(g_sharer.page, kPage);
    g_sharer.done = true;
    while (true) raw_syscall(__NR_exit, 0);
  };
  if (::clone(body, stack_top<1>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  while (!g_sharer.done) nap();
  return g_sharer.answer;
}

}  // namespace libmseal::tests
