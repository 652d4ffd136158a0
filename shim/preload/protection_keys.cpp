#include "shim/preload/protection_keys.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "policy/maps_line.h"
#include "policy/protection_key.h"
#include "shim/common/line_reader.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace libmseal::shim {
namespace {

using policy::Range;
using policy::Seal;

#ifdef __x86_64__
bool processor_has_keys() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kEnabled = 1U << 4;  // OSPKE: the kernel uses them
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kEnabled) != 0;
}

std::uint32_t key_rights() {
  std::uint32_t rights = 0;
  std::uint32_t upper = 0;
  asm volatile(".byte 0x0f, 0x01, 0xee" : "=a"(rights), "=d"(upper) : "c"(0));  // rdpkru
  return rights;
}
#else
bool processor_has_keys() {
  return false;
}
std::uint32_t key_rights() {
  return ~0U;
}
#endif

constexpr int kDontneedLocked = 24;  // MADV_DONTNEED_LOCKED, in kernel headers since 5.18

bool all_zero(const char* page, std::size_t size) {
  return page[0] == 0 && std::memcmp(page, page + 1, size - 1) == 0;
}

}  // namespace

long find_keyed_pieces(State& state, std::span<const Range> ranges) {
  state.keyed.clear();
  const bool writable_parts = std::any_of(state.pieces.begin(), state.pieces.end(),
                                          [](const Seal& piece) { return !piece.discard_protected; });
  if (!writable_parts || !processor_has_keys()) return 0;
  policy::Vma current;
  bool anonymous = false;
  bool fits = true;
  const long read = read_lines("/proc/thread-self/smaps", [&](std::string_view line) {
    if (const auto vma = policy::parse_maps_line(line)) {
      current = *vma;
      current.name = {};  // the line is gone with the next one
      anonymous = vma->anonymous();
      return current.range.start < ranges.back().end;
    }
    const auto key = policy::parse_key_line(line);
    if (!key || *key == 0 || current.shared || !current.writable) return true;
    for (const Range& range : ranges) {
      const Range part = policy::intersection(current.range, range);
      if (!current.range.touches(range)) continue;
      Seal kept{part};
      kept.discard_protected = true;
      fits = fits && policy::add_seal(state.pieces, kept, Pieces::capacity());
      if (anonymous) fits = fits && state.keyed.push_back({part, *key});
    }
    return true;
  });
  if (read != 0) return read;
  return fits ? 0 : -ENOMEM;
}

long discard_by_writing(const State& state, std::uint64_t address, std::uint64_t length, int advice) {
  if (advice != MADV_DONTNEED && advice != MADV_FREE && advice != kDontneedLocked) return -EPERM;
  const std::uint64_t page = state.machine.page_size;
  const Range range = Range::of(address, policy::round_up(length, page));
  if (range.empty()) return -EPERM;
  const bool allowed = state.keyed_seals.consult([&](std::span<const policy::KeyedRange> keyed) {
    // Asked of the processor only where there is a key, so where it knows the instruction.
    return policy::all_keyed(keyed, range,
                             [](std::uint32_t key) { return policy::may_write(key_rights(), key); });
  });
  if (!allowed) return -EPERM;
  if (advice == MADV_FREE) return 0;  // the kernel, too, may leave the contents for as long as it likes
  for (std::uint64_t at = range.start; at < range.end; at += page) {
    auto* const memory = reinterpret_cast<char*>(at);
    if (!all_zero(memory, page)) std::memset(memory, 0, page);
  }
  return 0;
}

}  // namespace libmseal::shim
