// mseal_types, and sealable=required.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"

namespace libmseal::tests {
namespace {

constexpr unsigned long kAll = MSEAL_TYPE_BASE | MSEAL_TYPE_PROT_PKEY | MSEAL_TYPE_DISCARD_RO_ANON;

long seal_types(void* at, unsigned long types) {
  return libc_value(::mseal_types(at, page_size(), types));
}

unsigned long types_of(const void* at) {
  unsigned long types = ~0UL;
  EXPECT(::mseal_query_types(at, page_size(), &types) == 0);
  return types;
}

char* writable_page() {
  char* const page = readable_page();
  REQUIRE_OR_STOP(::mprotect(page, page_size(), PROT_READ | PROT_WRITE) == 0);
  *page = 'x';
  return page;
}

// What every seal refuses.
void expect_base(char* at) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    EXPECT(call.unmap(at, page_size()) == -EPERM);
    EXPECT(call.map(at, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) == -EPERM);
    EXPECT(call.remap(at, page_size(), 2 * page_size(), MREMAP_MAYMOVE) == -EPERM);
    EXPECT(call.remap(at, page_size(), page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, readable_page()) ==
           -EPERM);
  }
}

void expect_protection(char* at, long answer) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    EXPECT(call.protect(at, page_size(), PROT_READ) == answer);
    const long keyed = call.protect_key(at, page_size(), PROT_READ | PROT_WRITE, -1);
    EXPECT(keyed == answer || (keyed == -ENOSYS && answer != -EPERM));  // not every machine has keys
  }
}

void expect_discard(char* at, long answer) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    for (const int advice : {MADV_DONTNEED, MADV_FREE, MADV_DONTFORK})
      EXPECT(call.advise(at, page_size(), advice) == answer);
    EXPECT(call.advise(at, page_size(), MADV_DOFORK) == 0);
  }
}

void types(std::span<char*>) {
  char* const base = writable_page();
  EXPECT(types_of(base) == 0);
  EXPECT(seal_types(base, MSEAL_TYPE_BASE) == 0);
  EXPECT(types_of(base) == MSEAL_TYPE_BASE);
  EXPECT(::mseal_query(base, page_size()) == MSEAL_STATE_FULLY);
  expect_base(base);
  expect_protection(base, 0);
  EXPECT(::mprotect(base, page_size(), PROT_READ) == 0);
  expect_discard(base, 0);
  in_child([&] {  // forked with it
    expect_base(base);
    EXPECT(::mprotect(base, page_size(), PROT_READ) == 0);
    EXPECT(types_of(base) == MSEAL_TYPE_BASE);
    EXPECT(::mseal(base, page_size(), 0) == 0);
    expect_sealed(base);
  });
  EXPECT(types_of(base) == MSEAL_TYPE_BASE);  // what the child has added is the child's
  expect_protection(base, 0);

  // They add up.
  EXPECT(::mprotect(base, page_size(), PROT_READ) == 0);
  EXPECT(seal_types(base, MSEAL_TYPE_PROT_PKEY) == 0);
  EXPECT(types_of(base) == (MSEAL_TYPE_BASE | MSEAL_TYPE_PROT_PKEY));
  expect_base(base);
  expect_protection(base, -EPERM);
  expect_discard(base, 0);
  EXPECT(seal_types(base, MSEAL_TYPE_BASE) == 0);  // there already
  EXPECT(::mseal(base, page_size(), 0) == 0);
  EXPECT(types_of(base) == kAll);
  expect_sealed(base);

  // Contents alone are kept whatever the protection becomes.
  char* const contents = writable_page();
  EXPECT(seal_types(contents, MSEAL_TYPE_DISCARD_RO_ANON) == 0);
  expect_base(contents);
  expect_discard(contents, -EPERM);
  expect_protection(contents, 0);
  expect_discard(contents, -EPERM);
  EXPECT(*contents == 'x');

  // All of them are mseal.
  char* const whole = readable_page();
  EXPECT(seal_types(whole, kAll) == 0);
  expect_sealed(whole);

  // No more of them.
  char* const last = readable_page();
  EXPECT(seal_types(last, MSEAL_TYPE_BASE | MSEAL_TYPE_SEAL) == 0);
  EXPECT(types_of(last) == (MSEAL_TYPE_BASE | MSEAL_TYPE_SEAL));
  EXPECT(seal_types(last, MSEAL_TYPE_PROT_PKEY) == -EACCES);
  EXPECT(libc_value(::mseal(last, page_size(), 0)) == -EACCES);
  EXPECT(seal_types(last, MSEAL_TYPE_BASE) == 0);
  expect_protection(last, 0);
  expect_base(last);
}

// Where the library places it itself: there no filter is written for it, but under the backend `filters`.
void types_of_sealable(std::span<char*>) {
  const std::size_t page = page_size();
  void* const mapped =
      ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_SEALABLE, -1, 0);
  REQUIRE_OR_STOP(mapped != MAP_FAILED);
  char* const at = static_cast<char*>(mapped);
  EXPECT(seal_types(at, MSEAL_TYPE_BASE) == 0);
  expect_base(at);
  expect_protection(at, 0);
  EXPECT(::mprotect(at, 2 * page, PROT_READ) == 0);
  EXPECT(seal_types(at, MSEAL_TYPE_PROT_PKEY) == 0);
  EXPECT(::mprotect(at, 2 * page, PROT_READ | PROT_WRITE) == -1 && errno == EPERM);
  EXPECT(::mprotect(at + page, page, PROT_READ | PROT_WRITE) == 0);
  // A whole filter far away leaves the seal of the base alone.
  char* const far = map_far_away(page, PROT_READ);
  REQUIRE_OR_STOP(far != nullptr);
  EXPECT(seal_types(far, MSEAL_TYPE_BASE) == 0);
  expect_base(far);
  expect_protection(far, 0);
}

void types_are_checked(std::span<char*>) {
  char* const page = readable_page();
  unsigned long types = 0;
  EXPECT(seal_types(page, 0) == -EINVAL);
  EXPECT(seal_types(page, 16) == -EINVAL);
  EXPECT(seal_types(page, MSEAL_TYPE_BASE | 1UL << 40) == -EINVAL);
  EXPECT(seal_types(page + 1, MSEAL_TYPE_BASE) == -EINVAL);
  EXPECT(::mseal_query_types(page, 0, &types) == -1 && errno == EINVAL);
  EXPECT(::mseal_query_types(page, page_size(), nullptr) == -1 && errno == EINVAL);
  EXPECT(::munmap(page, page_size()) == 0);
  EXPECT(seal_types(page, MSEAL_TYPE_BASE) == -ENOMEM);
}

// mseal(2) seals wholly or not at all.
void kernel_has_no_types(std::span<char*>) {
  char* const page = readable_page();
  EXPECT(seal_types(page, MSEAL_TYPE_BASE) == -EOPNOTSUPP);
  EXPECT(seal_types(page, MSEAL_TYPE_BASE | MSEAL_TYPE_PROT_PKEY) == -EOPNOTSUPP);
  EXPECT(types_of(page) == 0);
  EXPECT(seal_types(page, kAll | MSEAL_TYPE_SEAL) == 0);
  EXPECT(types_of(page) == (kAll | MSEAL_TYPE_SEAL));
  expect_sealed(page);
}

void only_sealable(std::span<char*> arguments) {
  const bool has_place = !arguments.empty() && std::string_view(arguments[0]) == "placed";
  const std::size_t page = page_size();
  char* const other = readable_page();
  EXPECT(libc_value(::mseal(other, page, 0)) == -EACCES);
  EXPECT(seal_types(other, MSEAL_TYPE_BASE) == -EACCES);
  EXPECT(libc_value(::mimmutable(other, page)) == -EACCES);
  EXPECT(::syscall(462, other, page, 0UL) == -1 && errno == EACCES);
  const mseal_range range{other, page};
  EXPECT(libc_value(::mseal_ranges(&range, 1, 0)) == -EACCES);
  EXPECT(libc_value(::mseal(other + 1, page, 0)) == -EINVAL);
  EXPECT(::munmap(other, page) == 0);
  void* const sealable = ::mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_SEALABLE, -1, 0);
  REQUIRE_OR_STOP(sealable != MAP_FAILED);
  EXPECT(libc_value(::mseal(sealable, page, 0)) == (has_place ? 0 : -EACCES));
  if (has_place) expect_sealed(static_cast<char*>(sealable));
  void* const born = ::mmap(nullptr, page, PROT_READ | PROT_SEAL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE_OR_STOP(born != MAP_FAILED);
  expect_sealed(static_cast<char*>(born));
}

constexpr Scenario kScenarios[] = {
    {"types", types},
    {"types_of_sealable", types_of_sealable},
    {"types_are_checked", types_are_checked},
    {"kernel_has_no_types", kernel_has_no_types},
    {"only_sealable", only_sealable},
};

}  // namespace

std::span<const Scenario> type_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
