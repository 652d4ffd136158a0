// Seals a page while the procfs of a child pid namespace covers /proc, in which this program's number is that
// of a process that may write to the page: then its contents would need no protection. It takes root.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <csignal>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// The first process of the namespace.
void cover_proc(int number, char* page, int ready) {
  if (::mount("proc", "/proc", "proc", 0, nullptr) != 0) return;
  {
    std::ofstream last("/proc/sys/kernel/ns_last_pid");
    last << number - 1 << std::flush;
  }
  if (::fork() == 0 && ::getpid() == number && ::mprotect(page, kPage, PROT_READ | PROT_WRITE) == 0)
    (void)!::write(ready, "x", 1);
  for (;;) ::pause();
}

}  // namespace

int main() {
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect before the seal");
  const int own = ::getpid();
  int ready[2];
  if (::pipe(ready) != 0) cannot_try("a pipe");
  const int helper = ::fork();
  if (helper == 0) {
    ::setpgid(0, 0);
    ::close(ready[0]);
    if (::unshare(CLONE_NEWPID) == 0 && ::fork() == 0) cover_proc(own, page, ready[1]);
    ::close(ready[1]);
    ::pause();
  }
  ::close(ready[1]);
  char byte = 0;
  const bool covered = ::read(ready[0], &byte, 1) == 1;
  const long sealed = covered ? seal(page, kPage) : 0;
  ::kill(-helper, SIGKILL);
  (void)outcome_of(helper);
  ::umount2("/proc", MNT_DETACH);
  if (!covered) cannot_try("a procfs in which this number is another's");
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "madvise(MADV_DONTNEED)", raw_syscall(__NR_madvise, page, kPage, MADV_DONTNEED));
}
