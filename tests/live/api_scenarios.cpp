// mseal, mimmutable and mseal_query as functions.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <vector>

#include "mseal/mseal.h"
#include "mseal/sealed_region.hpp"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"

// Counts what the program allocates.
static std::size_t g_allocations = 0;

void* operator new(std::size_t size) {
  ++g_allocations;
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace libmseal::tests {
namespace {

char* map_pages(std::size_t count) {
  void* const memory =
      ::mmap(nullptr, count * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE_OR_STOP(memory != MAP_FAILED);
  return static_cast<char*>(memory);
}

long seal(void* at, std::size_t size, unsigned long flags = 0) {
  return libc_value(::mseal(at, size, flags));
}

void errors_of_mseal(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(6);
  EXPECT(::munmap(base + 3 * page, page) == 0);
  EXPECT(seal(base, page, 1) == -EINVAL);
  EXPECT(seal(base, page, 1UL << 63) == -EINVAL);
  EXPECT(seal(base + 1, page) == -EINVAL);
  EXPECT(seal(base + 1, 0) == -EINVAL);
  EXPECT(seal(base, 0) == 0);
  EXPECT(seal(base + 3 * page, 0) == 0);  // nothing of nothing
#ifdef __x86_64__
  EXPECT(seal(reinterpret_cast<char*>(0xFFFF'FFFF'FF60'0000), page) == -ENOMEM);  // the vsyscall page
#endif
  EXPECT(seal(base, ~0UL) == -EINVAL);
  EXPECT(seal(base, -page) == -EINVAL);
  EXPECT(seal(reinterpret_cast<char*>(-page), 2 * page) == -EINVAL);  // wraps
  EXPECT(seal(reinterpret_cast<char*>(-page), page) == -EINVAL);
  // No x86 processor that this runs on lets addresses have tags without being asked; arm64's always do.
#ifdef __x86_64__
  EXPECT(seal(reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(base) | 1UL << 57), page) == -ENOMEM);
#endif
  EXPECT(seal(base + 3 * page, page) == -ENOMEM);
  EXPECT(seal(base, 4 * page) == -ENOMEM);             // the end is not mapped
  EXPECT(seal(base + 3 * page, 2 * page) == -ENOMEM);  // nor the start
  EXPECT(seal(base, 6 * page) == -ENOMEM);             // nor the middle
  // and nothing was sealed by any of these
  EXPECT(::mprotect(base, page, PROT_READ) == 0);
  EXPECT(::munmap(base, 3 * page) == 0);
  EXPECT(::munmap(base + 4 * page, 2 * page) == 0);
}

void reseals(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(4);
  EXPECT(seal(base + page, page) == 0);
  EXPECT(seal(base + page, page) == 0);
  EXPECT(seal(base, 3 * page) == 0);
  EXPECT(seal(base, 2 * page - 1) == 0);  // rounded up
  EXPECT(::munmap(base + 3 * page, page) == 0);
  EXPECT(::munmap(base, page) == -1 && errno == EPERM);
  EXPECT(::munmap(base + 2 * page, page) == -1 && errno == EPERM);
}

void seals_by_syscall_function(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(2);
  EXPECT(::syscall(462, base, page, 1UL) == -1 && errno == EINVAL);
  EXPECT(::syscall(462, base, page, 0UL) == 0);
  EXPECT(::munmap(base, page) == -1 && errno == EPERM);
  EXPECT(::munmap(base + page, page) == 0);
  EXPECT(::syscall(__NR_getpid) == ::getpid());
  EXPECT(::syscall(__NR_close, -1) == -1 && errno == EBADF);
}

void mimmutable_rounds_down(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(4);
  EXPECT(::mimmutable(base + page + 5, page) == 0);  // touches two pages
  EXPECT(::munmap(base + page, page) == -1 && errno == EPERM);
  EXPECT(::munmap(base + 2 * page, page) == -1 && errno == EPERM);
  EXPECT(::munmap(base, page) == 0);
  EXPECT(::munmap(base + 3 * page, page) == 0);
  EXPECT(::mimmutable(base + 5, ~0UL) == -1 && errno == EINVAL);
}

void query_tells(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(4);
  EXPECT(::mseal_query(base, 4 * page) == MSEAL_STATE_NONE);
  EXPECT(::mseal(base + page, 2 * page, 0) == 0);
  EXPECT(::mseal_query(base, 4 * page) == MSEAL_STATE_PARTLY);
  EXPECT(::mseal_query(base + page, 2 * page) == MSEAL_STATE_FULLY);
  EXPECT(::mseal_query(base + page + 7, 1) == MSEAL_STATE_FULLY);
  EXPECT(::mseal_query(base, page) == MSEAL_STATE_NONE);
  EXPECT(::mseal_query(base + 3 * page, page) == MSEAL_STATE_NONE);
  EXPECT(::mseal_query(base, 0) == -1 && errno == EINVAL);
  EXPECT(::mseal_query(base, ~0UL) == -1 && errno == EINVAL);
}

// Until the kernel takes no more filters: what is sealed stays sealed, what is not is untouched.
void budget_ends_cleanly(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const std::size_t least = std::stoul(arguments[0]);
  constexpr std::size_t kMost = 2000;
  const std::size_t page = page_size();
  char* const base = map_far_away(2 * kMost * page, PROT_READ | PROT_WRITE);
  REQUIRE_OR_STOP(base != nullptr);
  std::size_t sealed = 0;
  while (sealed < kMost && ::mseal(base + 2 * sealed * page, page, 0) == 0) ++sealed;
  EXPECT(sealed >= least && sealed < kMost && errno == ENOMEM);
  EXPECT(::mseal(base + 2 * sealed * page, page, 0) == -1 && errno == ENOMEM);
  for (std::size_t index = 0; index < sealed; ++index) {
    EXPECT(Calls{Via::raw}.unmap(base + 2 * index * page, page) == -EPERM);
    EXPECT(Calls{Via::raw}.protect(base + (2 * index + 1) * page, page, PROT_READ) == 0);
  }
  EXPECT(Calls{Via::raw}.unmap(base + 2 * sealed * page, page) == 0);
}

// Everything that a seal forbids is done, and happens.
void audit_refuses_nothing(std::span<char*>) {
  const std::size_t page = page_size();
  for (const Via via : kBothWays) {
    const Calls call{via};
    const auto sealed = [page] {
      char* const at = map_pages(1);
      EXPECT(::mseal(at, page, 0) == 0);
      return at;
    };
    EXPECT(call.protect(sealed(), page, PROT_READ) == 0);
    EXPECT(call.advise(sealed(), page, MADV_DONTNEED) == 0);
    char* const gone = sealed();
    EXPECT(call.unmap(gone, page) == 0);
    // What comes there next is not sealed: nothing more to report.
    EXPECT(call.map(gone, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) ==
           reinterpret_cast<long>(gone));
    EXPECT(call.unmap(gone, page) == 0);
    EXPECT(call.map(sealed(), page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) > 0);
  }
  // Nor does it refuse a brk, of which it hears nothing.
  const auto size = static_cast<long>(page);
  const long start = (shim::raw_syscall(__NR_brk, 0) + size - 1) & -size;
  const long end = start + size;
  EXPECT(shim::raw_syscall(__NR_brk, end) == end);
  EXPECT(::mseal(reinterpret_cast<void*>(start), page, 0) == 0);
  EXPECT(shim::raw_syscall(__NR_brk, start) == start);
}

// Every other page of some thousand, by a call each.
void seals_one_by_one(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const std::size_t count = std::stoul(arguments[0]);
  const std::size_t page = page_size();
  char* const base = map_pages(2 * count);
  for (std::size_t index = 0; index < count; ++index) {
    REQUIRE_OR_STOP(::mseal(base + 2 * index * page, page, 0) == 0);
  }
  const Calls raw{Via::raw};
  for (std::size_t index = 0; index < count; ++index) {
    EXPECT(raw.unmap(base + 2 * index * page, page) == -EPERM);
    EXPECT(raw.protect(base + (2 * index + 1) * page, page, PROT_READ) == 0);
  }
}

// Every other page of some thousand.
void seals_in_batches(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const std::size_t count = std::stoul(arguments[0]);
  const std::size_t page = page_size();
  char* const base = map_pages(2 * count);
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < count; ++index) ranges.push_back({base + 2 * index * page, page});
  std::reverse(ranges.begin(), ranges.begin() + static_cast<std::ptrdiff_t>(count / 2));  // in no order
  EXPECT(::mseal_ranges(ranges.data(), count, 0) == 0);
  const Calls raw{Via::raw};
  for (std::size_t index = 0; index < count; ++index) {
    char* const sealed = base + 2 * index * page;
    EXPECT(raw.unmap(sealed, page) == -EPERM);
    EXPECT(raw.protect(sealed, page, PROT_READ) == -EPERM);
    EXPECT(raw.unmap(sealed + page, page) == 0);
  }
  EXPECT(raw.unmap(base, 2 * count * page) == -EPERM);
  EXPECT(::mseal_ranges(ranges.data(), count, 0) == 0);  // once more
}

void errors_of_batches(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(8);
  EXPECT(::munmap(base + 5 * page, page) == 0);
  const auto seal_two = [&](mseal_range second, unsigned long flags = 0) {
    const mseal_range both[] = {{base, page}, second};
    return libc_value(::mseal_ranges(both, 2, flags));
  };
  EXPECT(::mseal_ranges(nullptr, 0, 0) == 0);
  EXPECT(libc_value(::mseal_ranges(nullptr, 1, 0)) == -EINVAL);
  const mseal_range one{base, page};
  EXPECT(libc_value(::mseal_ranges(&one, (std::size_t{1} << 60) + 1, 0)) == -EINVAL);  // no array is so long
  EXPECT(seal_two({base + 2 * page, page}, 1) == -EINVAL);
  EXPECT(seal_two({base + 2 * page + 1, page}) == -EINVAL);
  EXPECT(seal_two({base + 2 * page, ~0UL}) == -EINVAL);
  EXPECT(seal_two({base + 5 * page, page}) == -ENOMEM);
  EXPECT(seal_two({base + 4 * page, 2 * page}) == -ENOMEM);
  // and none of these sealed the first
  EXPECT(::mprotect(base, page, PROT_READ) == 0);
  EXPECT(seal_two({base + 2 * page, 0}) == 0);  // nothing of nothing
  EXPECT(::mprotect(base, page, PROT_READ) == -1 && errno == EPERM);
  EXPECT(seal_two({base, 2 * page}) == 0);  // overlapping
  EXPECT(::munmap(base + page, page) == -1 && errno == EPERM);
  EXPECT(::munmap(base + 2 * page, page) == 0);
}

// With most of the room taken, a batch that needs more than is left seals nothing.
void batch_past_the_budget(std::span<char*>) {
  constexpr std::size_t kCount = 8000;
  const std::size_t page = page_size();
  char* const base = map_far_away(2 * kCount * page, PROT_READ | PROT_WRITE);
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < kCount; ++index) ranges.push_back({base + 2 * index * page, page});
  EXPECT(libc_value(::mseal_ranges(ranges.data(), kCount, 0)) == -ENOMEM);
  EXPECT(Calls{Via::raw}.protect(base, 2 * kCount * page, PROT_READ) == 0);
  EXPECT(::mseal_ranges(ranges.data(), 10, 0) == 0);  // there is room for some
  EXPECT(Calls{Via::raw}.unmap(base, page) == -EPERM);
  EXPECT(Calls{Via::raw}.unmap(base + 20 * page, page) == 0);
}

// As many ranges as one call takes, more than one look at the mappings finds.
void large_batch(std::span<char*>) {
  constexpr std::size_t kCount = 16384;
  const std::size_t page = page_size();
  char* const base = map_far_away(2 * kCount * page, PROT_READ | PROT_WRITE);
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < kCount; ++index) ranges.push_back({base + 2 * index * page, page});
  EXPECT(Calls{Via::raw}.unmap(ranges.back().addr, page) == 0);
  EXPECT(libc_value(::mseal_ranges(ranges.data(), kCount, 0)) == -ENOMEM);
  EXPECT(Calls{Via::raw}.protect(base, page, PROT_READ) == 0);  // nothing is sealed
  EXPECT(::mseal_ranges(ranges.data(), kCount - 1, 0) == 0);
  EXPECT(Calls{Via::raw}.unmap(ranges[kCount - 2].addr, page) == -EPERM);
}

void* map_sealed(std::size_t size, int prot, int flags = MAP_PRIVATE | MAP_ANONYMOUS, void* at = nullptr,
                 int fd = -1) {
  return ::mmap(at, size, prot | PROT_SEAL, flags, fd, 0);
}

void expect_sealed_from_birth(void* memory, std::size_t size, bool kept) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    EXPECT(call.unmap(memory, size) == -EPERM);
    EXPECT(call.protect(memory, size, PROT_READ | PROT_EXEC) == -EPERM);
    EXPECT(call.remap(memory, size, 2 * size, MREMAP_MAYMOVE) == -EPERM);
    EXPECT(call.map(memory, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) == -EPERM);
    EXPECT(call.advise(memory, size, MADV_DONTNEED) == (kept ? -EPERM : 0));
  }
  EXPECT(::mseal_query(memory, size) == MSEAL_STATE_FULLY);
}

// mmap(PROT_SEAL) of every kind.
void sealed_from_birth(std::span<char*>) {
  const std::size_t page = page_size();
  char* const own = static_cast<char*>(map_sealed(3 * page, PROT_READ));
  REQUIRE_OR_STOP(own != MAP_FAILED);
  expect_sealed_from_birth(own, 3 * page, true);
  EXPECT(own[3 * page - 1] == 0);
  char* const writable = static_cast<char*>(map_sealed(page + 1, PROT_READ | PROT_WRITE));
  REQUIRE_OR_STOP(writable != MAP_FAILED);
  writable[0] = 'w';
  expect_sealed_from_birth(writable, 2 * page, false);
  char* const shared =
      static_cast<char*>(map_sealed(page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS));
  REQUIRE_OR_STOP(shared != MAP_FAILED);
  expect_sealed_from_birth(shared, page, false);
  const int file = ::open("/proc/self/exe", O_RDONLY);
  char* const text = static_cast<char*>(map_sealed(page, PROT_READ | PROT_EXEC, MAP_PRIVATE, nullptr, file));
  REQUIRE_OR_STOP(text != MAP_FAILED);
  EXPECT(std::memcmp(text, "\177ELF", 4) == 0);
  EXPECT(Calls{Via::raw}.protect(text, page, PROT_READ) == -EPERM);
  EXPECT(Calls{Via::raw}.unmap(text, page) == -EPERM);
  for (const int own_flag : {0, MAP_SEALABLE}) {
    const int flags = MAP_SHARED_VALIDATE | own_flag;
    char* const checked = static_cast<char*>(map_sealed(page, PROT_READ, flags, nullptr, file));
    REQUIRE_OR_STOP(checked != MAP_FAILED);
    EXPECT(std::memcmp(checked, "\177ELF", 4) == 0);
    expect_sealed_from_birth(checked, page, false);
  }
  EXPECT(::mmap(nullptr, page, PROT_READ, MAP_SHARED_VALIDATE | MAP_SEALABLE, file, 0) != MAP_FAILED);
  // at a fixed address, by way of mseal
  char* const fixed = map_pages(2);
  EXPECT(map_sealed(page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, fixed) == fixed);
  EXPECT(Calls{Via::raw}.unmap(fixed, page) == -EPERM);
  EXPECT(Calls{Via::raw}.unmap(fixed + page, page) == 0);
  // by the gate to raw system calls, with the kernel's errors
  const long by_syscall =
      ::syscall(__NR_mmap, 0, page, PROT_READ | PROT_SEAL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(by_syscall > 0 && Calls{Via::raw}.unmap(reinterpret_cast<void*>(by_syscall), page) == -EPERM);
  EXPECT(map_sealed(0, PROT_READ) == MAP_FAILED && errno == EINVAL);
  EXPECT(map_sealed(page, PROT_READ, MAP_PRIVATE, nullptr, -1) == MAP_FAILED && errno == EBADF);
  EXPECT(map_sealed(page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, fixed) == MAP_FAILED &&
         errno == EPERM);
#ifdef MAP_32BIT
  char* const low = static_cast<char*>(map_sealed(page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT));
  EXPECT(reinterpret_cast<std::uintptr_t>(low) < 1ULL << 32 && Calls{Via::raw}.unmap(low, page) == -EPERM);
#endif
  // in a child, and by a child
  const pid_t child = ::fork();
  if (child == 0) {
    g_failures = 0;
    EXPECT(Calls{Via::raw}.unmap(own, page) == -EPERM);
    void* const later = map_sealed(page, PROT_READ);
    EXPECT(later != MAP_FAILED && Calls{Via::raw}.unmap(later, page) == -EPERM);
    ::_exit(g_failures == 0 ? 0 : 1);
  }
  int status = 0;
  EXPECT(::waitpid(child, &status, 0) == child && status == 0);
}

// Runtimes place memory at random addresses of their own choice, as V8 does in the first 64 TiB: nothing is
// refused there.
void random_places_are_free(std::span<char*>) {
  constexpr std::uint64_t kBelow64TiB = (1ULL << 46) - 1;
  std::uint64_t number = 1;
  for (int round = 0; round < 20'000; ++round) {
    number = number * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's
    auto* const wanted = reinterpret_cast<char*>((number >> 8) & kBelow64TiB & ~0xFFFFFULL);
    void* const at =
        ::mmap(wanted, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE_OR_STOP(at != MAP_FAILED);
    REQUIRE_OR_STOP(Calls{Via::raw}.protect(static_cast<char*>(at), page_size(), PROT_READ) == 0);
    REQUIRE_OR_STOP(Calls{Via::raw}.unmap(static_cast<char*>(at), page_size()) == 0);
  }
}

// So many that no filter each would fit.
void sixty_thousand_from_birth(std::span<char*>) {
  constexpr std::size_t kCount = 60'000;
  const std::size_t page = page_size();
  std::vector<char*> all;
  for (std::size_t index = 0; index < kCount; ++index) {
    // neighbours that differ, so that the kernel does not join them
    all.push_back(static_cast<char*>(map_sealed(page, index % 2 == 0 ? PROT_READ : PROT_NONE)));
    REQUIRE_OR_STOP(all.back() != MAP_FAILED);
  }
  for (std::size_t index = 0; index < kCount; index += 7) {
    EXPECT(Calls{Via::raw}.unmap(all[index], page) == -EPERM);
    EXPECT(Calls{Via::raw}.protect(all[index], page, PROT_READ | PROT_WRITE) == -EPERM);
  }
  EXPECT(::mseal_query(all.front(), page) == MSEAL_STATE_FULLY);
}

// What mmap(PROT_SEAL) fails to map takes nothing of the range for such mappings, of which one half is 512
// GiB.
void failed_mappings_take_no_room(std::span<char*>) {
  constexpr std::size_t kLarge = std::size_t{300} << 30;
  const int prot = PROT_READ | PROT_WRITE | PROT_SEAL;
  const auto map = [&](std::size_t size, int flags) { return ::mmap(nullptr, size, prot, flags, -1, 0); };
  EXPECT(map(page_size(), MAP_PRIVATE | MAP_ANONYMOUS) != MAP_FAILED);
  for (int time = 0; time < 3; ++time) EXPECT(map(kLarge, MAP_PRIVATE) == MAP_FAILED && errno == EBADF);
  for (int time = 0; time < 3; ++time)
    EXPECT(map(2 * kLarge, MAP_PRIVATE | MAP_ANONYMOUS) == MAP_FAILED && errno == ENOMEM);
  EXPECT(map(page_size(), MAP_PRIVATE | MAP_ANONYMOUS) != MAP_FAILED);
  EXPECT(map(kLarge, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE) != MAP_FAILED);
}

char* map_sealable(std::size_t size, int flags = MAP_PRIVATE | MAP_ANONYMOUS, void* at = nullptr) {
  void* const mapped = ::mmap(at, size, PROT_READ | PROT_WRITE, flags | MAP_SEALABLE, -1, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<char*>(mapped);
}

std::string number_of_filters() {
  std::ifstream status("/proc/thread-self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Seccomp_filters:")) return line;
  }
  return {};
}

// mmap(MAP_SEALABLE): as any memory is until it is sealed, and then sealed. So many pages, one by one;
// without a filter, if that is said.
void sealable(std::span<char*> arguments) {
  const auto count = static_cast<std::size_t>(std::atoi(arguments[0]));
  const bool without_filter = arguments.size() > 1;
  const std::size_t page = page_size();
  char* const open = map_sealable(4 * page);
  REQUIRE_OR_STOP(open != nullptr);
  std::memset(open, 'o', 4 * page);
  for (const Via via : kBothWays) {
    const Calls call{via};
    EXPECT(call.protect(open, page, PROT_READ) == 0 && call.protect(open, page, PROT_READ | PROT_WRITE) == 0);
    EXPECT(call.advise(open, page, MADV_DONTNEED) == 0 && open[0] == 0);
    EXPECT(call.map(open, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) > 0 && open[page] == 'o');
  }
  EXPECT(::mseal_query(open, 4 * page) == MSEAL_STATE_NONE);
  EXPECT(Calls{Via::raw}.remap(open + 3 * page, page, 2 * page, MREMAP_MAYMOVE) > 0);
  EXPECT(Calls{Via::raw}.unmap(open, page) == 0);
  const std::string filters = number_of_filters();
  std::vector<char*> all;
  for (std::size_t index = 0; index < count; ++index) {
    all.push_back(map_sealable(2 * page));
    REQUIRE_OR_STOP(all.back() != nullptr);
    std::memset(all.back(), 's', 2 * page);
    REQUIRE_OR_STOP(Calls{Via::raw}.protect(all.back(), page, PROT_READ) == 0);
    REQUIRE_OR_STOP(::mseal(all.back(), page, 0) == 0);
    EXPECT(Calls{Via::raw}.unmap(all.back(), 2 * page) == -EPERM);
    EXPECT(Calls{Via::raw}.unmap(all.back() + page, page) == 0);
  }
  if (without_filter) EXPECT(!filters.empty() && number_of_filters() == filters);
  for (const std::size_t index : {std::size_t{0}, count / 2, count - 1}) {
    expect_sealed_from_birth(all[index], page, true);
    EXPECT(all[index][page - 1] == 's');
  }
  in_child([&] { EXPECT(Calls{Via::raw}.unmap(all[0], page) == -EPERM); });
  // by the gate to raw system calls, at a fixed address, and as the kernel fails
  const long by_syscall =
      ::syscall(__NR_mmap, 0, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_SEALABLE, -1, 0);
  EXPECT(by_syscall > 0 && Calls{Via::raw}.unmap(reinterpret_cast<void*>(by_syscall), page) == 0);
  char* const fixed = map_pages(1);
  EXPECT(map_sealable(page, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, fixed) == fixed);
  EXPECT(map_sealable(page, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, all[0]) == nullptr && errno == EPERM);
  EXPECT(map_sealable(0) == nullptr && errno == EINVAL);
  // what does not fit there is mapped elsewhere, or not at all
  constexpr std::size_t kTooLarge = std::size_t{3} << 40;
  char* const large = static_cast<char*>(::mmap(
      nullptr, kTooLarge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_SEALABLE, -1, 0));
  EXPECT(large != MAP_FAILED && Calls{Via::raw}.unmap(large, kTooLarge) == 0);
}

// The bit of MAP_SEALABLE belongs to the sizes of some huge pages, 1 GiB and 16 GiB among them.
void huge_pages_of_every_size(std::span<char*>) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE;
  for (int bits = 16; bits <= 34; ++bits) {
    const std::size_t size = std::size_t{1} << bits;
    const int flags = kFlags | bits << MAP_HUGE_SHIFT;
    const long expected = shim::raw_syscall(__NR_mmap, 0, size, PROT_READ, flags, -1, 0);
    void* const mapped = ::mmap(nullptr, size, PROT_READ, flags, -1, 0);
    EXPECT((mapped == MAP_FAILED ? -errno : 0) == (shim::failed(expected) ? expected : 0));
    if (mapped != MAP_FAILED) EXPECT(::munmap(mapped, size) == 0);
    if (!shim::failed(expected)) EXPECT(::munmap(reinterpret_cast<void*>(expected), size) == 0);
  }
}

// A part of a huge page becomes the whole page, sealed as a whole.
void sealed_huge_page(std::span<char*>) {
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | 21 << MAP_HUGE_SHIFT;
  void* const mapped = ::mmap(nullptr, page_size(), PROT_READ | PROT_SEAL, kFlags, -1, 0);
  REQUIRE_OR_STOP(mapped != MAP_FAILED);
  EXPECT(::mseal_query(mapped, kHuge) == MSEAL_STATE_FULLY);
  EXPECT(Calls{Via::raw}.unmap(mapped, kHuge) == -EPERM);
}

// The C++ class: filled, frozen, and then nobody's to change.
void region_freezes(std::span<char*>) {
  sealed_region region(4 * page_size());
  std::pmr::vector<std::pmr::string> words(&region);
  for (int index = 0; index < 5000; ++index) {
    words.emplace_back("a word that is too long for the string itself, " + std::to_string(index));
  }
  region.freeze();
  EXPECT(region.frozen());
  region.freeze();
  char* const first = words.front().data();
  auto* const first_page = reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(first) & -page_size());
  char* const last = words.back().data();
  auto* const last_page = reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(last) & -page_size());
  for (char* const page : {first_page, last_page}) {
    EXPECT(::mseal_query(page, page_size()) == MSEAL_STATE_FULLY);
    EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_READ | PROT_WRITE) == -EPERM);
    EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
    EXPECT(Calls{Via::raw}.advise(page, page_size(), MADV_DONTNEED) == -EPERM);
  }
  EXPECT(words[4999].ends_with("itself, 4999"));
  bool refused = false;
  try {
    (void)region.allocate(1);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  EXPECT(refused);
  sealed_region empty;
  empty.freeze();

  std::size_t before = 0;
  void* given = nullptr;
  {
    sealed_region never_frozen;
    given = never_frozen.allocate(1);
    before = g_allocations;
  }
  EXPECT(g_allocations == before);
  EXPECT(::madvise(given, 1, MADV_NORMAL) == -1);  // it is unmapped
  EXPECT(before > 0);
}

// auto=elf: this program's own text, and the supervisor's table.
void own_text_is_sealed(std::span<char*>) {
  const auto address = reinterpret_cast<std::uintptr_t>(&own_text_is_sealed) & -page_size();
  auto* const text = reinterpret_cast<char*>(address);
  EXPECT(::mseal_query(text, 1) == MSEAL_STATE_FULLY);
  for (const Via via : kBothWays) {
    const Calls call{via};
    EXPECT(call.protect(text, page_size(), PROT_READ | PROT_WRITE | PROT_EXEC) == -EPERM);
    EXPECT(call.unmap(text, page_size()) == -EPERM);
    EXPECT(call.advise(text, page_size(), MADV_DONTNEED) == -EPERM);
  }
}

// auto=off: nothing but what the program asks for.
void own_text_is_not_sealed(std::span<char*>) {
  const auto address = reinterpret_cast<std::uintptr_t>(&own_text_is_sealed) & -page_size();
  auto* const text = reinterpret_cast<char*>(address);
  char* const base = map_pages(2);
  EXPECT(::mseal_query(text, 1) == MSEAL_STATE_NONE);
  EXPECT(Calls{Via::raw}.protect(text, page_size(), PROT_READ | PROT_EXEC) == 0);
  EXPECT(::mseal(base, page_size(), 0) == 0);
  EXPECT(Calls{Via::raw}.protect(text, page_size(), PROT_READ | PROT_EXEC) == 0);
  EXPECT(Calls{Via::raw}.unmap(base, page_size()) == -EPERM);
  EXPECT(Calls{Via::raw}.unmap(base + page_size(), page_size()) == 0);
}

// The libc backend: what it promises, and what it says it can't.
void libc_backend_sees_libc_only(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(2);
  EXPECT(::mseal(base, page, 0) == 0);
  EXPECT(::munmap(base, page) == -1 && errno == EPERM);
  EXPECT(::mprotect(base, page, PROT_READ) == -1 && errno == EPERM);
  EXPECT(::mmap(base, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED &&
         errno == EPERM);
  EXPECT(::mremap(base, page, 2 * page, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
  EXPECT(::syscall(__NR_munmap, base, page) == -1 && errno == EPERM);
  EXPECT(::munmap(base + page, page) == 0);
  EXPECT(Calls{Via::raw}.unmap(base, page) == 0);
}

constexpr Scenario kScenarios[] = {
    {"errors_of_mseal", errors_of_mseal},
    {"reseals", reseals},
    {"seals_by_syscall_function", seals_by_syscall_function},
    {"mimmutable_rounds_down", mimmutable_rounds_down},
    {"query_tells", query_tells},
    {"budget_ends_cleanly", budget_ends_cleanly},
    {"seals_in_batches", seals_in_batches},
    {"seals_one_by_one", seals_one_by_one},
    {"audit_refuses_nothing", audit_refuses_nothing},
    {"errors_of_batches", errors_of_batches},
    {"batch_past_the_budget", batch_past_the_budget},
    {"large_batch", large_batch},
    {"region_freezes", region_freezes},
    {"sealed_from_birth", sealed_from_birth},
    {"random_places_are_free", random_places_are_free},
    {"sixty_thousand_from_birth", sixty_thousand_from_birth},
    {"failed_mappings_take_no_room", failed_mappings_take_no_room},
    {"sealable", sealable},
    {"sealed_huge_page", sealed_huge_page},
    {"huge_pages_of_every_size", huge_pages_of_every_size},
    {"own_text_is_sealed", own_text_is_sealed},
    {"own_text_is_not_sealed", own_text_is_not_sealed},
    {"libc_backend_sees_libc_only", libc_backend_sees_libc_only},
};

}  // namespace

std::span<const Scenario> api_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
