// From a chroot without /proc, where neither the library nor anybody can look anything up.
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const Victim text = Victim::text();
  char* const another = map_at(0, kPage);
  char folder[] = "/tmp/libmseal-no-proc-XXXXXX";
  if (::mkdtemp(folder) == nullptr) cannot_try("a folder");
  const int child = ::fork();
  if (child == 0) {
    if (::chroot(folder) != 0 || ::chdir("/") != 0) ::_exit(kCannotTry);
    const bool held = raw_syscall(__NR_munmap, victim.at(), victim.size()) == -EPERM &&
                      raw_syscall(__NR_munmap, text.at(), text.size()) == -EPERM;
    // Without maps to read, a new seal is either in force or not promised.
    const bool promised = ::mseal(another, kPage, 0) == 0;
    const bool kept = !promised || raw_syscall(__NR_munmap, another, kPage) == -EPERM;
    ::_exit(held && kept ? kHeld : kBroken);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ::rmdir(folder);
  if (WEXITSTATUS(status) == kCannotTry) cannot_try("chroot");
  const int held = conclude(victim, "munmap from a chroot", 0);
  return held == kHeld ? WEXITSTATUS(status) : held;
}
