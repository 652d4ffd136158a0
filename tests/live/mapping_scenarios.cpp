// Memory that is placed for its seal: PROT_SEAL, MAP_SEALABLE, sealed_region. And huge pages.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
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
  in_child([&] {
    EXPECT(Calls{Via::raw}.unmap(own, page) == -EPERM);
    void* const later = map_sealed(page, PROT_READ);
    EXPECT(later != MAP_FAILED && Calls{Via::raw}.unmap(later, page) == -EPERM);
  });
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

// Read-only memory whose contents mseal(2) protects, though neither MAP_PRIVATE nor MAP_ANONYMOUS says so.
void contents_kept_from_birth(std::span<char*>) {
#ifndef MAP_DROPPABLE
  constexpr int MAP_DROPPABLE = 8;
#endif
  const std::size_t page = page_size();
  const int zero = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  REQUIRE_OR_STOP(zero >= 0);
  std::vector<void*> mappings{map_sealed(page, PROT_READ, MAP_PRIVATE, nullptr, zero)};
  void* const droppable = map_sealed(page, PROT_READ, MAP_DROPPABLE | MAP_ANONYMOUS);
  if (droppable != MAP_FAILED) mappings.push_back(droppable);  // Linux 6.11 and later
  for (void* const memory : mappings) {
    REQUIRE_OR_STOP(memory != MAP_FAILED);
    expect_sealed_from_birth(memory, page, true);
    for (const int advice : {MADV_FREE, MADV_DONTFORK})
      EXPECT((Calls{Via::raw}.advise(memory, page, advice)) == -EPERM);
  }
}

// A signal interrupts a notified call as long as the supervisor has not received it.
void interrupted_from_birth(std::span<char*>) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  REQUIRE_OR_STOP(::sigaction(SIGALRM, &action, nullptr) == 0);
  const itimerval often{{0, 200}, {0, 200}};
  REQUIRE_OR_STOP(::setitimer(ITIMER_REAL, &often, nullptr) == 0);
  char* const watched = reinterpret_cast<char*>(0x2000'0000UL);
  for (std::size_t index = 0; index < 500; ++index) {
    char* const at = watched + index * page_size();
    EXPECT(map_sealed(page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, at) == at);
  }
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

// A freeze that fails can be repeated. Meanwhile the region gives out nothing: some of it is read-only.
void region_freezes_again(std::span<char*>) {
  sealed_region region(page_size());
  const std::size_t most_of_page = page_size() - 64;
  void* const first = region.allocate(most_of_page);
  auto* const second = static_cast<char*>(region.allocate(most_of_page));
  char* const page = reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(second) & -page_size());
  EXPECT(Calls{Via::raw}.unmap(page, page_size()) == 0);
  const auto throws = [](auto what) {
    try {
      what();
    } catch (const std::exception&) {
      return true;
    }
    return false;
  };
  EXPECT(throws([&] { region.freeze(); }));
  EXPECT(!region.frozen());
  EXPECT(throws([&] { (void)region.allocate(1); }));
  EXPECT(::mmap(page, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
         page);
  region.freeze();
  EXPECT(::mseal_query(first, most_of_page) == MSEAL_STATE_FULLY);
  EXPECT(::mseal_query(second, most_of_page) == MSEAL_STATE_FULLY);
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

// As programs do that look for room: at random places where the kernel maps nothing by itself. Whatever they
// get can be unmapped again.
void hints_give_ordinary_memory(std::span<char*>) {
  constexpr std::uint64_t kFrom = 64ULL << 40;
  constexpr std::uint64_t kStep = 1ULL << 30;
  for (std::uint64_t at = kFrom; at < 2 * kFrom - (1ULL << 40); at += kStep) {
    const long mapped = Calls{Via::libc}.map(reinterpret_cast<void*>(at), page_size(), PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS);
    EXPECT(mapped > 0);
    EXPECT((Calls{Via::libc}.unmap(reinterpret_cast<void*>(mapped), page_size())) == 0);
  }
}

constexpr Scenario kScenarios[] = {
    {"hints_give_ordinary_memory", hints_give_ordinary_memory},
    {"region_freezes", region_freezes},
    {"region_freezes_again", region_freezes_again},
    {"sealed_from_birth", sealed_from_birth},
    {"contents_kept_from_birth", contents_kept_from_birth},
    {"interrupted_from_birth", interrupted_from_birth},
    {"random_places_are_free", random_places_are_free},
    {"sixty_thousand_from_birth", sixty_thousand_from_birth},
    {"failed_mappings_take_no_room", failed_mappings_take_no_room},
    {"sealable", sealable},
    {"sealed_huge_page", sealed_huge_page},
    {"huge_pages_of_every_size", huge_pages_of_every_size},
};

}  // namespace

std::span<const Scenario> mapping_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
