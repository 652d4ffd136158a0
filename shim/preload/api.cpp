// The functions that programs call.
#include <cerrno>
#include <cstdint>

#include "mseal/mseal.h"
#include "shim/preload/libc/libc_result.h"
#include "shim/preload/objects/late_objects.h"
#include "shim/preload/sealing/sealing.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {
namespace {

policy::Range queried_pages(const void* address, std::size_t length) {
  const policy::Machine& machine = started().machine;
  const auto start = reinterpret_cast<std::uint64_t>(address) & machine.address_mask;
  return policy::pages_of(start, length, machine.page_size);
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

int mseal(void* addr, size_t len, unsigned long flags) noexcept {
  return libc_result<int>(
      flags != 0 ? -EINVAL : seal_for_program(started(), reinterpret_cast<std::uint64_t>(addr), len));
}

int mseal_types(void* addr, size_t len, unsigned long types) {
  if (types == 0 || (types & ~std::uint64_t{policy::kEveryType.bits()}) != 0)
    return libc_result<int>(-EINVAL);
  const auto wanted = policy::SealTypes::of_bits(static_cast<std::uint8_t>(types)) | policy::kBaseType;
  return libc_result<int>(seal_for_program(started(), reinterpret_cast<std::uint64_t>(addr), len, wanted));
}

int mseal_ranges(const struct mseal_range* ranges, size_t count, unsigned long flags) {
  const bool wraps = count > PTRDIFF_MAX / sizeof(mseal_range);
  if (flags != 0 || wraps || (ranges == nullptr && count != 0)) return libc_result<int>(-EINVAL);
  return libc_result<int>(seal_all_for_program(started(), {ranges, count}));
}

int mseal_loaded(unsigned long flags) {
  return libc_result<int>(flags != 0 ? -EINVAL : seal_loaded_objects(started()));
}

int mimmutable(void* addr, size_t len) {
  const auto start = reinterpret_cast<std::uint64_t>(addr);
  const std::uint64_t offset = start % started().machine.page_size;
  if (len > ~offset) return libc_result<int>(-EINVAL);
  return libc_result<int>(seal_for_program(started(), start - offset, len + offset));
}

int mseal_query(const void* addr, size_t len) {
  const policy::Range pages = queried_pages(addr, len);
  if (len == 0 || pages.empty()) return libc_result<int>(-EINVAL);
  return static_cast<int>(query(started(), pages).coverage);
}

int mseal_query_types(const void* addr, size_t len, unsigned long* types) {
  const policy::Range pages = queried_pages(addr, len);
  if (len == 0 || pages.empty() || types == nullptr) return libc_result<int>(-EINVAL);
  *types = query(started(), pages).types.bits();
  return 0;
}

}  // extern "C"
#pragma GCC visibility pop

static_assert(policy::kNoMoreTypes.bits() == MSEAL_TYPE_SEAL && policy::kBaseType.bits() == MSEAL_TYPE_BASE &&
              policy::kProtectionType.bits() == MSEAL_TYPE_PROT_PKEY &&
              policy::kContentsType.bits() == MSEAL_TYPE_DISCARD_RO_ANON);
static_assert(static_cast<int>(policy::Coverage::none) == MSEAL_STATE_NONE);
static_assert(static_cast<int>(policy::Coverage::partly) == MSEAL_STATE_PARTLY);
static_assert(static_cast<int>(policy::Coverage::fully) == MSEAL_STATE_FULLY);

}  // namespace libmseal::shim
