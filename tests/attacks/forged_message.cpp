// A child, or the process itself, tells the supervisor that a page is sealed by a filter, which is not there,
// or refuses nothing: the process's own mseal must install one all the same.
#include "tests/attacks/programs.h"
#include "tests/attacks/sharer.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;
using libmseal::policy::Control;

namespace {

char* g_page = nullptr;

int forge_in_same_memory(void*) {
  (void)forge(Control::Kind::add_filtered, g_page);
  while (true) raw_syscall(__NR_exit, 0);
}

int seal_and_change(const char* name, char* page) {
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, name, raw_syscall(__NR_munmap, page, kPage));
}

// Where the supervisor decides, says that the page is sealed and its contents are not protected.
int understate_and_discard() {
  char* const page = map_at(0x3000'0000, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect");
  (void)forge(Control::Kind::prepare, page);
  (void)forge(Control::Kind::add_supervised, page, false);
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "madvise of what was said to be discardable",
                  raw_syscall(__NR_madvise, page, kPage, MADV_DONTNEED));
}

void install_filter_that_allows_all() {
  sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  (void)install_filter(allow);
}

// Does all that the library does to seal a page, but for the filter, which is another one.
int pass_off_another_filter(Control::Kind ask, Control::Kind tell) {
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  (void)forge(ask, page);
  install_filter_that_allows_all();
  (void)forge(tell, page);
  return seal_and_change("munmap after another filter was passed off", page);
}

}  // namespace

int main() {
  int worst = kHeld;
  for (const Control::Kind kind : {Control::Kind::add_filtered, Control::Kind::add_supervised}) {
    char* const page = map_at(0, kPage);
    std::memset(page, 'v', kPage);
    const int child = ::fork();
    if (child == 0) {
      (void)forge(kind, page);
      ::_exit(0);
    }
    (void)outcome_of(child);
    worst = worse_of(worst, seal_and_change("munmap after a child's message", page));
  }
  char* const own = map_at(0, kPage);
  std::memset(own, 'v', kPage);
  (void)forge(Control::Kind::prepare, own);
  (void)forge(Control::Kind::add_filtered, own);
  worst = worse_of(worst, seal_and_change("munmap after an own message", own));
  worst = worse_of(worst, understate_and_discard());
  worst = worse_of(worst, pass_off_another_filter(Control::Kind::seal, Control::Kind::filters_are_in));
  worst = worse_of(worst, pass_off_another_filter(Control::Kind::prepare, Control::Kind::add_filtered));
  g_page = map_at(0, kPage);
  std::memset(g_page, 'v', kPage);
  const int sharer = ::clone(forge_in_same_memory, stack_top<0>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (sharer > 0) ::waitpid(sharer, nullptr, 0);
  return worse_of(worst, seal_and_change("munmap after a vfork child's message", g_page));
}
