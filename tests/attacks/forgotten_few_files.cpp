// Under a low limit of open files, which the supervisor inherits: more processes at a time than it may hold.
#include <csignal>
#include <vector>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

long change(const Victim& page) {
  return raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
}

}  // namespace

int main() {
  const Victim page = Victim::supervised_page();
  int ends[2];
  if (::pipe(ends) != 0) cannot_try("pipe");
  std::vector<int> children;
  long answer = -EPERM;
  for (int count = 0; count < 150 && answer != 0; ++count) {
    children.push_back(::fork());
    if (children.back() == 0) {
      const long own = change(page);
      (void)!::write(ends[1], &own, sizeof own);
      while (true) ::pause();
    }
    if (::read(ends[0], &answer, sizeof answer) != static_cast<ssize_t>(sizeof answer)) cannot_try("a child");
  }
  for (const int child : children) ::kill(child, SIGKILL);
  if (answer == 0) std::printf("mprotect by child %zu answered 0\n", children.size());
  const int outcome = conclude(page, "mprotect of the page", change(page));
  return answer == 0 ? kBroken : outcome;
}
