// uselib(2) over a sealed page by int 0x80, with and without garbage in the upper halves.
#include "tests/attacks/int80.h"
#include "tests/attacks/uselib.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  constexpr std::uint32_t kUselib = 86;
  constexpr std::uint64_t kWhere = 0x2000'0000;
  const Victim victim = Victim::page(kWhere + 2 * kPage);
  const std::string name = library_at(kWhere);
  char* const low = map_at(0x2100'0000, kPage);
  std::strcpy(low, name.c_str());
  const auto text = static_cast<std::uint32_t>(reinterpret_cast<std::uint64_t>(low));
  const int held = conclude(victim, "uselib", int80(kUselib, text, 0, 0, 0, 0));
  const int garbage = conclude(victim, "uselib with garbage", int80_garbage(kUselib, text));
  ::unlink(name.c_str());
  return worse_of(held, garbage);
}
