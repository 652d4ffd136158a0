// uselib(2) over a sealed page.
#include "tests/attacks/uselib.h"

using namespace libmseal::tests;

int main() {
#ifdef __x86_64__
  constexpr std::uint64_t kWhere = 0x2000'0000;
  const Victim victim = Victim::page(kWhere + 2 * kPage);
  const std::string name = library_at(kWhere);
  const long answer = raw_syscall(__NR_uselib, name.c_str());
  ::unlink(name.c_str());
  return conclude(victim, "uselib", answer);
#else
  errno = ENOSYS;
  cannot_try("uselib is of x86");
#endif
}
