// MADV_DONTFORK and WIPEONFORK on the victim and on everything that the library may have of its own, then
// fork: the child must have its sealed memory, and its seals.
#include <sys/wait.h>

#include <csignal>
#include <vector>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// Every mapping but what a process needs to go on at all: the stack, the thread's own memory (to which the
// kernel writes, too), the program.
std::vector<libmseal::policy::Range> expendable() {
  std::vector<libmseal::policy::Range> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto vma = libmseal::policy::parse_maps_line(line);
    if (!vma || vma->name == "[stack]" || line.find("lost_on_fork") != std::string::npos) continue;
    if (vma->range.contains(reinterpret_cast<std::uint64_t>(&errno))) continue;
    found.push_back(vma->range);
  }
  return found;
}

}  // namespace

int main() {
  const Victim victim = Victim::page();
  const Victim supervised = Victim::supervised_page();
  const std::vector<libmseal::policy::Range> others = expendable();
  const long wiped = raw_syscall(__NR_madvise, victim.at(), victim.size(), MADV_WIPEONFORK);
  for (const auto& range : others) (void)raw_syscall(__NR_madvise, range.start, range.size(), MADV_DONTFORK);
  const char own = *supervised.at();
  // Past libc, whose memory the child may lack.
  const long child = raw_syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    const bool refused = raw_syscall(__NR_munmap, victim.at(), victim.size()) == -EPERM &&
                         raw_syscall(__NR_munmap, supervised.at(), supervised.size()) == -EPERM;
    const bool kept = *victim.at() == 'v' && *supervised.at() == own;
    while (true) raw_syscall(__NR_exit_group, refused && kept ? kHeld : kBroken);
  }
  for (const auto& range : others) (void)raw_syscall(__NR_madvise, range.start, range.size(), MADV_DOFORK);
  int status = 0;
  (void)raw_syscall(__NR_wait4, child, &status, 0, 0);
  std::printf("the child's end: %#x\n", static_cast<unsigned>(status));
  const int held = conclude(victim, "madvise(WIPEONFORK)", wiped);
  if (held != kHeld) return held;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kBroken;
}
