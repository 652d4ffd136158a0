#include "shim/preload/memory/load_ranges.h"

#include <sys/auxv.h>

#include <array>
#include <bit>

#include "policy/rules/mm_call.h"

namespace libmseal::shim {
namespace {

using policy::Range;

constexpr std::uint64_t kGiB = 1U << 30;

}  // namespace

std::uint64_t end_of_addresses() {
  return std::bit_ceil(static_cast<std::uint64_t>(getauxval(AT_RANDOM)));
}

#ifdef __x86_64__

namespace {

// arch/x86/mm/mmap.c: mmap_base and mmap_legacy_base; ELF_ET_DYN_BASE in arch/x86/include/asm/elf.h.
constexpr std::array kLoadRanges{
    Range{0, kGiB},                                    // programs linked to a fixed address
    Range{0x7C00'0000, 0x8000'0000},                   // wine's loader
    Range{0x1555'5555'5000 - kGiB, 0x1555'5555'5000},  // libraries, with an unlimited stack
    Range{0x2AAA'AAAA'B000, 0x2AAA'AAAA'B000 + kGiB},  // libraries, in the legacy layout (setarch -L)
    Range{0x5555'5555'4000, 0x5555'5555'4000 + kGiB},  // position-independent programs
    Range{0x7FFF'F7FF'F000 - kGiB, 0x7FFF'F7FF'F000},  // libraries, below the gap for the stack
};
constexpr std::size_t kLegacyLibraries = 3;
constexpr std::size_t kPrograms = 4;

constexpr std::uint64_t kMostRandom = 1ULL << 44;  // vm.mmap_rnd_bits is 28 to 32, in pages
constexpr auto kWatchedRanges = [] {
  auto ranges = kLoadRanges;
  for (const std::size_t random : {kLegacyLibraries, kPrograms}) ranges[random].end += kMostRandom;
  return ranges;
}();
constexpr Range kRandomLibraries = kWatchedRanges[kLegacyLibraries];

bool has_old_layout() {
  return kRandomLibraries.contains(reinterpret_cast<std::uint64_t>(&has_old_layout));
}

}  // namespace

std::span<const Range> load_ranges_without_aslr() {
  return kLoadRanges;
}

std::span<const Range> watched_ranges() {
  return kWatchedRanges;
}

std::uint64_t moved_hint(std::uint64_t address, std::uint64_t flags) {
  const bool fixed = (flags & (policy::kMapFixed | policy::kMapFixedNoreplace)) != 0;
  if (fixed || !kRandomLibraries.contains(Range::of(address, 1)) || has_old_layout()) return address;
  return address - kMostRandom;  // as aligned as it was
}

#else

// arm64 randomizes by less than 1 GiB unless vm.mmap_rnd_bits was raised. The size of the address space
// depends on the kernel's page size; the stack is at its end.
std::span<const Range> load_ranges_without_aslr() {
  static std::array<Range, 4> ranges;
  if (!ranges[0].empty()) return ranges;
  const std::uint64_t top = end_of_addresses();
  constexpr std::uint64_t kStackGap = 128U << 20;
  constexpr std::uint64_t kStackMoved = kGiB;        // room for the random offset of the stack
  constexpr std::uint64_t kMoved = kGiB + kGiB / 4;  // and for images
  const std::uint64_t programs = policy::round_down(top / 3 * 2, std::uint64_t{1} << 16);
  const std::uint64_t old = top / 4;  // libraries, with an unlimited stack or in the legacy layout
  ranges = {Range{0, kGiB}, Range::of(old, kMoved), Range::of(programs, kMoved),
            Range{top - kStackGap - kStackMoved - kMoved, top - kStackGap}};
  return ranges;
}

std::span<const Range> watched_ranges() {
  return load_ranges_without_aslr();
}

std::uint64_t moved_hint(std::uint64_t address, std::uint64_t) {
  return address;
}

#endif

}  // namespace libmseal::shim
