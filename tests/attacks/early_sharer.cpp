// A constructor of a library, which runs before that of libmseal, creates a process that shares the memory.
// Later that process makes the text of the program and of the C library writable, which is sealed at start.
#include "tests/attacks/early_sharer.h"

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

int attack(const char* name, std::uintptr_t function) {
  char* const page = reinterpret_cast<char*>(function & -kPage);
  if (const long sealed = seal(page, kPage); sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, name, reprotect_by_sharer(page));
}

}  // namespace

int main() {
  if (!has_early_sharer()) cannot_try("clone");
  const int own = attack("mprotect of the program", reinterpret_cast<std::uintptr_t>(&attack));
  return worse_of(own, attack("mprotect of the C library", reinterpret_cast<std::uintptr_t>(&::setsid)));
}
