// Seals by type. What the base alone lets through, a change of the protection, opens no way to unmap, move or
// replace the page in a fork; and a page that takes no more types gets none, in whatever way they are asked
// for.
#include <sched.h>

#include "tests/attacks/programs.h"

using namespace libmseal::tests;
using libmseal::policy::Control;

namespace {

constexpr std::uint64_t kSupervised = 0x3000'0000;  // where the supervisor decides; elsewhere filters do

struct Attempt {
  const char* name;
  long (*change)(char* at);
};

constexpr Attempt kAttempts[] = {
    {"munmap", [](char* at) { return raw_syscall(__NR_munmap, at, kPage); }},
    {"mmap over it",
     [](char* at) {
       return raw_syscall(__NR_mmap, at, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
     }},
    {"mremap to elsewhere",
     [](char* at) {
       return raw_syscall(__NR_mremap, at, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, at + 16 * kPage);
     }},
    {"mremap over it",
     [](char* at) {
       return raw_syscall(__NR_mremap, map_at(0, kPage), kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, at);
     }},
};

char* page_with(std::uint64_t where, unsigned long types) {
  char* const page = map_at(where, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect before the seal");
  if (::mseal_types(page, kPage, types) != 0) cannot_try("mseal_types");
  return page;
}

long make_writable(char* page) {
  return raw_syscall(__NR_mprotect, page, kPage, PROT_READ | PROT_WRITE);
}

int change_in_forks(std::uint64_t where) {
  char* const page = page_with(where, MSEAL_TYPE_BASE);
  if (make_writable(page) != 0) cannot_try("mprotect, which the base allows");
  int worst = kHeld;
  for (const Attempt& one : kAttempts) {
    const int child = ::fork();
    if (child == 0) {
      const Victim victim = Victim::sealed_already(page, kPage);
      leave(conclude(victim, one.name, one.change(page)));
    }
    worst = worse_of(worst, outcome_of(child));
  }
  return worst;
}

int add_types(std::uint64_t where) {
  char* const page = page_with(where, MSEAL_TYPE_BASE | MSEAL_TYPE_SEAL);
  (void)::mseal(page, kPage, 0);
  (void)raw_syscall(libmseal::policy::kMsealNumber, page, kPage, 0, 0, 0, 0);
  (void)forge(Control::Kind::add_supervised, page);
  (void)forge(Control::Kind::add_filtered, page);
  const bool same = make_writable(page) == 0;
  std::printf("the page that takes no more types has %s\n", same ? "no more" : "GOT MORE");
  return same ? kHeld : kBroken;
}

}  // namespace

int main() {
  int worst = kHeld;
  for (const std::uint64_t where : {std::uint64_t{0}, kSupervised})
    worst = worse_of(worst, change_in_forks(where));
  for (const std::uint64_t where : {std::uint64_t{0}, kSupervised + kLargestPage})
    worst = worse_of(worst, add_types(where));
  return worst;
}
