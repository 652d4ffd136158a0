// From a chroot without /proc, where neither the library nor anybody can look anything up.
#include <sys/stat.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const Victim supervised = Victim::supervised_page();
  char* const another = map_at(0, kPage);
  char folder[] = "/tmp/libmseal-no-proc-XXXXXX";
  if (::mkdtemp(folder) == nullptr) cannot_try("a folder");
  const int child = ::fork();
  if (child == 0) {
    if (::chroot(folder) != 0 || ::chdir("/") != 0) ::_exit(kCannotTry);
    const long page = raw_syscall(__NR_munmap, victim.at(), victim.size());
    const long other = raw_syscall(__NR_munmap, supervised.at(), supervised.size());
    std::printf("munmap of a page answered %ld\nmunmap of a supervised one answered %ld\n", page, other);
    const bool held = page == -EPERM && other == -EPERM;
    // Without maps to read, a new seal is either in force or not promised.
    const bool promised = ::mseal(another, kPage, 0) == 0;
    const bool kept = !promised || raw_syscall(__NR_munmap, another, kPage) == -EPERM;
    leave(held && kept ? kHeld : kBroken);
  }
  const int outcome = outcome_of(child);
  ::rmdir(folder);
  if (outcome == kCannotTry) cannot_try("chroot");
  std::printf("the victim is %s\n", victim.intact() ? "unharmed" : "CHANGED");
  return victim.intact() ? outcome : kBroken;
}
