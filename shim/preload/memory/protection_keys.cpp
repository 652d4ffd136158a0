#include "shim/preload/memory/protection_keys.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "policy/rules/protection_key.h"

namespace libmseal::shim {
namespace {

using policy::Range;

#ifdef __x86_64__
std::uint32_t key_rights() {
  std::uint32_t rights = 0;
  std::uint32_t upper = 0;
  asm volatile(".byte 0x0f, 0x01, 0xee" : "=a"(rights), "=d"(upper) : "c"(0));  // rdpkru
  return rights;
}
#else
std::uint32_t key_rights() {
  return ~0U;
}
#endif

constexpr int kDontneedLocked = 24;  // MADV_DONTNEED_LOCKED, in kernel headers since 5.18

bool all_zero(const char* page, std::size_t size) {
  return page[0] == 0 && std::memcmp(page, page + 1, size - 1) == 0;
}

}  // namespace

long discard_by_writing(const State& state, std::uint64_t address, std::uint64_t length, int advice) {
  if (advice != MADV_DONTNEED && advice != MADV_FREE && advice != kDontneedLocked) return -EPERM;
  const std::uint64_t page = state.machine.page_size;
  const Range range = Range::of(address, policy::round_up(length, page));
  if (range.empty()) return -EPERM;
  const bool allowed = state.keyed_seals->consult([&](std::span<const policy::KeyedRange> keyed) {
    // The instruction is used only if there are keys, so the processor supports it.
    return policy::all_keyed(keyed, range,
                             [](std::uint32_t key) { return policy::may_write(key_rights(), key); });
  });
  if (!allowed) return -EPERM;
  if (advice == MADV_FREE) return 0;  // the kernel need not discard the contents either
  for (std::uint64_t at = range.start; at < range.end; at += page) {
    auto* const memory = reinterpret_cast<char*>(at);
    if (!all_zero(memory, page)) std::memset(memory, 0, page);
  }
  return 0;
}

}  // namespace libmseal::shim
