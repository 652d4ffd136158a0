// Processes that the supervisor meets when the one that sealed, and made them, has ended or runs another
// program. They inherit the seals of the process that called fork.
#include <sys/prctl.h>

#include "tests/attacks/programs.h"

using namespace libmseal::tests;

namespace {

// A child seals a page, makes another child and ends as `end` says; this process adopts that one, and makes
// the supervisor forget processes that have ended.
template <class End>
int adopt(std::uint64_t where, End end) {
  char* const page = map_at(where, kPage);
  std::memset(page, 'v', kPage);
  int ends[2];
  if (::pipe(ends) != 0) cannot_try("pipe");
  const int first = ::fork();
  if (first == 0) {
    const Victim victim(page, kPage);
    if (::fork() != 0) end();
    ::close(ends[1]);
    char byte;
    (void)!::read(ends[0], &byte, 1);
    leave(conclude(victim, "munmap by the adopted", raw_syscall(__NR_munmap, page, kPage)));
  }
  ::close(ends[0]);
  const int outcome = outcome_of(first);
  make_forget();
  ::close(ends[1]);
  ::munmap(page, kPage);
  return worse_of(outcome, outcome_of(-1));
}

}  // namespace

int main() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  constexpr std::uint64_t kWhere = 0x3000'0000;  // decided by the supervisor
  const int ended = adopt(kWhere, [] { ::_exit(kHeld); });
  const auto run = [] {
    ::execl("/bin/true", "true", nullptr);
    ::_exit(126);
  };
  return worse_of(ended, adopt(kWhere + kLargestPage, run));
}
