// A thread makes one process after the other in this memory, by vfork or by clone: one of them may be born
// after the library has looked for such processes, and before the filter is in force.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/attacks/attack.h"
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

char* volatile g_sealed = nullptr;  // mseal has returned for it
volatile long g_escaped = 0;

// Waits a few milliseconds for the seal, and tries.
int child(void*) {
  for (int looks = 0; looks < 60; ++looks) {
    char* const page = g_sealed;
    if (page == nullptr) {
      libmseal::shim::nap(10'000);
      continue;
    }
    if (raw_syscall(__NR_mprotect, page, kPage, PROT_READ | PROT_WRITE) == 0) g_escaped = g_escaped + 1;
    break;
  }
  while (true) raw_syscall(__NR_exit, 0);
}

}  // namespace

int main() {
  std::atomic<bool> done = false;
  std::thread mother([&] {
    long pause = 0;
    while (!done) {
      const int waits = pause % 2 == 0 ? CLONE_VFORK : 0;
      const int made = ::clone(child, stack_top<0>(), CLONE_VM | waits | SIGCHLD, nullptr);
      if (made > 0) ::waitpid(made, nullptr, 0);
      pause = (pause + 37) % 500;
      libmseal::shim::nap(pause * 1000);
    }
  });
  int sealed = 0;
  int changed = 0;
  int refused = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (sealed < 1000 && changed == 0 && std::chrono::steady_clock::now() < end) {
    char* const page = map_at(0, kPage);
    if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect");
    if (seal(page, kPage) != 0) {
      ++refused;
      ::munmap(page, kPage);
      continue;
    }
    ++sealed;
    g_sealed = page;
    ::usleep(2000);
    g_sealed = nullptr;
    if (g_escaped != 0) ++changed;
  }
  done = true;
  mother.join();
  std::printf("%d pages were sealed, %d seals refused; %d sealed pages were changed\n", sealed, refused,
              changed);
  if (changed != 0) return kBroken;
  return sealed != 0 ? kHeld : kNothingSealed;
}
