// A child that shares the memory, in a pid namespace of its own with a /proc of its own, seals. Its parent,
// which it can't see from there, takes the page away.
#include <sys/mount.h>

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

int sealer(void*) {
  g_sharer.runs = true;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("proc", "/proc", "proc", 0, nullptr) != 0)
    cannot_try("mount");
  leave(seal_beside_sharer());
}

}  // namespace

int main() {
  const int child = ::clone(sealer, stack_top<0>(), CLONE_VM | CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, nullptr);
  if (child < 0) cannot_try("unshare, by clone");
  int status = 0;
  while (!g_sharer.sealed && ::waitpid(child, &status, WNOHANG) == 0) nap();
  if (g_sharer.sealed && !g_sharer.done) {
    g_sharer.answer = raw_syscall(__NR_munmap, g_sharer.page, kPage);
    g_sharer.done = true;
  }
  while (::waitpid(child, &status, __WALL) < 0 && errno == EINTR) {
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : kKilled);
}
