// The first seal is a mapping with PROT_SEAL, in memory that another process has shared since before it.
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

int main() {
  const auto body = [](void*) -> int { share(); };
  const int sharer = ::clone(body, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr);
  if (sharer < 0) cannot_try("clone");
  while (!g_sharer.runs) nap();
  void* const born = ::mmap(nullptr, kPage, PROT_READ | PROT_SEAL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int error = errno;
  g_sharer.page = static_cast<char*>(born);
  if (born == MAP_FAILED) {
    g_sharer.sealed = true;
    return nothing_promised(-error);
  }
  const Victim victim = Victim::sealed_already(g_sharer.page, kPage);
  g_sharer.sealed = true;
  (void)outcome_of(sharer);
  return conclude(victim, "munmap by the sharer", g_sharer.answer);
}
