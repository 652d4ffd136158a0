#include "shim/preload/image_places.h"

#include <sys/auxv.h>

#include <array>
#include <bit>

namespace libmseal::shim {
namespace {

using policy::Range;

constexpr std::uint64_t kGiB = 1U << 30;

}  // namespace

#ifdef __x86_64__

// arch/x86/mm/mmap.c: mmap_base and mmap_legacy_base; ELF_ET_DYN_BASE in arch/x86/include/asm/elf.h.
std::span<const Range> image_places() {
  static constexpr std::array kPlaces{
      Range{0, kGiB},                                    // programs linked to a fixed address
      Range{0x7C00'0000, 0x8000'0000},                   // wine's loader
      Range{0x1555'5555'5000 - kGiB, 0x1555'5555'5000},  // libraries, with an unlimited stack
      Range{0x2AAA'AAAA'B000, 0x2AAA'AAAA'B000 + kGiB},  // libraries, in the layout of old (setarch -L)
      Range{0x5555'5555'4000, 0x5555'5555'4000 + kGiB},  // position-independent programs
      Range{0x7FFF'F7FF'F000 - kGiB, 0x7FFF'F7FF'F000},  // libraries, below the gap for the stack
  };
  return kPlaces;
}

#else

// Randomisation moves images by little there, by less than 1 GiB unless vm.mmap_rnd_bits was raised. The size
// of the address space depends on the kernel's page size; the stack is at its end.
std::span<const Range> image_places() {
  static std::array<Range, 3> places;
  if (!places[0].empty()) return places;
  const std::uint64_t top = std::bit_ceil(static_cast<std::uint64_t>(getauxval(AT_RANDOM)));
  constexpr std::uint64_t kStackGap = 128U << 20;
  constexpr std::uint64_t kStackMoved = kGiB;        // the stack's own randomness is kept free too
  constexpr std::uint64_t kMoved = kGiB + kGiB / 4;  // and the images themselves
  const std::uint64_t programs = policy::round_down(top / 3 * 2, std::uint64_t{1} << 16);
  places = {Range{0, kGiB}, Range::of(programs, kMoved),
            Range{top - kStackGap - kStackMoved - kMoved, top - kStackGap}};
  return places;
}

#endif

}  // namespace libmseal::shim
