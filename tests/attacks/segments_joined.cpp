// Two processes seal the same page, each as a part of another System V segment. A child that may have
// inherited both seals must not detach either.
#include <csignal>

#include "tests/attacks/segment.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint64_t kVictim = 0x2000'0000'0000;

void attach(int segment, std::uint64_t at) {
  if (::shmat(segment, reinterpret_cast<void*>(at), 0) != reinterpret_cast<void*>(at)) cannot_try("shmat");
}

}  // namespace

int main() {
  const int large = new_segment(2 * kPage);
  const int small = new_segment(kPage);
  int ready[2];
  if (::pipe(ready) != 0) cannot_try("pipe");
  const pid_t sibling = ::fork();
  if (sibling == 0) {
    attach(large, kVictim - kPage);
    const bool sealed = ::mseal(reinterpret_cast<void*>(kVictim), kPage, 0) == 0;
    if (::write(ready[1], sealed ? "s" : "u", 1) == 1) ::pause();
    ::_exit(0);
  }
  char how = 0;
  if (::read(ready[0], &how, 1) != 1 || how != 's') cannot_try("the sibling's seal");
  attach(small, kVictim);
  ::shmctl(large, IPC_RMID, nullptr);
  ::shmctl(small, IPC_RMID, nullptr);
  const Victim victim(reinterpret_cast<char*>(kVictim), kPage);
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) leave(conclude(victim, "shmdt", raw_syscall(__NR_shmdt, kVictim)));
  int status = 0;
  ::waitpid(child, &status, 0);
  ::kill(sibling, SIGKILL);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kCannotTry;
}
