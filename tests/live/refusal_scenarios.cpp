// Every call that must be refused on a sealed range, really tried.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"
#include "tests/support/maps.h"
#include "tests/support/waiting.h"

namespace libmseal::tests {
namespace {

constexpr int kPages = 8;  // the middle four are sealed

struct Area {
  char* base;
  char* sealed;
  std::size_t page = page_size();
  std::size_t sealed_size = 4 * page;

  explicit Area(int prot = PROT_READ, int flags = MAP_PRIVATE | MAP_ANONYMOUS) {
    void* const memory = ::mmap(nullptr, kPages * page, PROT_READ | PROT_WRITE, flags, -1, 0);
    REQUIRE_OR_STOP(memory != MAP_FAILED);
    base = static_cast<char*>(memory);
    std::memset(base, 'a', kPages * page);
    sealed = base + 2 * page;
    REQUIRE_OR_STOP(::mprotect(sealed, sealed_size, prot) == 0);
    REQUIRE_OR_STOP(::mseal(sealed, sealed_size, 0) == 0);
  }
};

std::vector<char> contents(const Area& area) {
  return {area.sealed, area.sealed + area.sealed_size};
}

// Everything that changes a mapping, on [at, at + size) which touches the seal.
void try_every_change(const Calls& call, const Area& area, char* at, std::size_t size) {
  const std::size_t page = area.page;
  EXPECT(call.unmap(at, size) == -EPERM);
  EXPECT(call.map(at, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) == -EPERM);
  EXPECT(call.map(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED) == -EPERM);
  for (const int prot : {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC}) {
    EXPECT(call.protect(at, size, prot) == -EPERM);
    EXPECT(call.protect_key(at, size, prot, 0) == -EPERM || call.protect_key(at, size, prot, 0) == -ENOSYS);
  }
  EXPECT(call.remap(at, size, size, 0) == -EPERM);
  EXPECT(call.remap(at, size, size + page, MREMAP_MAYMOVE) == -EPERM);
  EXPECT(call.remap(at, size, page, 0) == -EPERM);
  EXPECT(call.remap(at, 0, page, MREMAP_MAYMOVE) == -EPERM);
  char* const elsewhere =
      static_cast<char*>(::mmap(nullptr, kPages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  EXPECT(call.remap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == -EPERM);
  EXPECT(call.remap(at, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == -EPERM);
  EXPECT(call.remap(elsewhere, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, at) == -EPERM);
  EXPECT(::munmap(elsewhere, kPages * page) == 0);
}

constexpr int kDiscarding[] = {MADV_DONTNEED,   MADV_FREE, MADV_REMOVE, MADV_DONTFORK,
                               MADV_WIPEONFORK, 24,        102};

void refuses_changes(std::span<char*>) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    const Area area;
    const std::string maps = maps_of(area.sealed, area.sealed_size);
    const std::vector<char> before = contents(area);
    try_every_change(call, area, area.sealed, area.sealed_size);
    try_every_change(call, area, area.sealed + area.page, area.page);
    for (const int advice : kDiscarding) {
      EXPECT(call.advise(area.sealed, area.page, advice) == -EPERM);
      EXPECT(call.advise(area.base, kPages * area.page, advice) == -EPERM);
      // the kernel reads advice as an int
      EXPECT(shim::raw_syscall(__NR_madvise, area.sealed, area.page, advice | (1L << 32)) == -EPERM);
    }
    EXPECT(call.advise(area.sealed, area.page, MADV_WILLNEED) == 0);
    // reaching in from either side
    EXPECT(call.unmap(area.base, kPages * area.page) == -EPERM);
    EXPECT(call.unmap(area.base + area.page, 2 * area.page) == -EPERM);
    EXPECT(call.unmap(area.sealed + 3 * area.page, 2 * area.page) == -EPERM);
    EXPECT(call.protect(area.base + area.page, 2 * area.page, PROT_NONE) == -EPERM);
    EXPECT(call.protect(area.sealed + 3 * area.page, 2 * area.page, PROT_NONE) == -EPERM);
    EXPECT(call.unmap(area.base + area.page, area.page + 1) == -EPERM);  // one byte is a page
    EXPECT(maps_of(area.sealed, area.sealed_size) == maps);
    EXPECT(contents(area) == before);
  }
}

void leaves_neighbours_alone(std::span<char*>) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    const Area area;
    char* const below = area.base;
    char* const above = area.sealed + area.sealed_size;
    const std::size_t size = 2 * area.page;
    for (char* const at : {below, above}) {
      EXPECT(call.protect(at, size, PROT_READ) == 0);
      EXPECT(call.protect(at, size, PROT_READ | PROT_WRITE) == 0);
      EXPECT(call.advise(at, size, MADV_DONTNEED) == 0);
      EXPECT(at[0] == 0);
      EXPECT(call.map(at, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) ==
             reinterpret_cast<long>(at));
      EXPECT(call.remap(at, size, area.page, 0) == reinterpret_cast<long>(at));
      EXPECT(call.unmap(at, area.page) == 0);
    }
    EXPECT(area.sealed[0] == 'a');
  }
}

void keeps_kernels_order_of_errors(std::span<char*>) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    const Area area;
    const std::size_t page = area.page;
    EXPECT(call.unmap(area.sealed + 1, page) == -EINVAL);
    EXPECT(call.protect(area.sealed + 1, page, PROT_READ) == -EINVAL);
    EXPECT(call.advise(area.sealed + 1, page, MADV_DONTNEED) == -EINVAL);
    EXPECT(call.map(area.sealed + 1, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) == -EINVAL);
    EXPECT(call.unmap(area.sealed, 0) == -EINVAL);
    EXPECT(call.protect(area.sealed, 0, PROT_READ) == 0);
    EXPECT(call.advise(area.sealed, 0, MADV_DONTNEED) == 0);
    EXPECT(call.unmap(area.sealed, ~0UL) == -EINVAL);
    EXPECT(call.unmap(area.sealed, -page) == -EINVAL);
    EXPECT(call.protect(area.sealed, -page, PROT_READ) == -ENOMEM);
    EXPECT(call.map(area.sealed, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE) ==
           -EEXIST);
    // a hint never replaces anything
    const long placed = call.map(area.sealed, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
    EXPECT(placed > 0 && placed != reinterpret_cast<long>(area.sealed));
    EXPECT(area.sealed[0] == 'a');
  }
}

// Discarding is refused where the contents could not simply be written: writable or shared memory stays the
// program's.
void discards_what_is_writable(std::span<char*>) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    const Area writable(PROT_READ | PROT_WRITE);
    EXPECT(call.advise(writable.sealed, writable.page, MADV_DONTNEED) == 0);
    EXPECT(writable.sealed[0] == 0);
    EXPECT(call.unmap(writable.sealed, writable.page) == -EPERM);
    EXPECT(call.protect(writable.sealed, writable.page, PROT_READ) == -EPERM);
    const Area shared(PROT_READ, MAP_SHARED | MAP_ANONYMOUS);
    EXPECT(call.advise(shared.sealed, shared.page, MADV_DONTNEED) == 0);
    EXPECT(call.unmap(shared.sealed, shared.page) == -EPERM);
  }
}

void seals_mixed_protections(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(6);
  std::memset(base, 'a', 6 * page);
  EXPECT(::mprotect(base + 2 * page, page, PROT_READ) == 0);
  EXPECT(::mprotect(base + 4 * page, page, PROT_NONE) == 0);
  EXPECT(::mseal(base, 6 * page, 0) == 0);
  for (const Via via : kBothWays) {
    const Calls call{via};
    for (int index = 0; index < 6; ++index)
      EXPECT(call.unmap(base + index * static_cast<long>(page), page) == -EPERM);
    EXPECT(call.advise(base + 2 * page, page, MADV_DONTNEED) == -EPERM);
    EXPECT(call.advise(base + 4 * page, page, MADV_DONTNEED) == -EPERM);
    EXPECT(call.advise(base, 3 * page, MADV_DONTNEED) == -EPERM);
    EXPECT(call.advise(base + 5 * page, page, MADV_DONTNEED) == 0);
  }
  EXPECT(base[2 * page] == 'a');
}

// A sealed page of the heap holds the break up; malloc goes on by other means.
void keeps_sealed_heap(std::span<char*>) {
  const std::size_t page = page_size();
  char* const old_break = static_cast<char*>(::sbrk(0));
  char* const block =
      reinterpret_cast<char*>((reinterpret_cast<std::uintptr_t>(old_break) + page - 1) & -page);
  REQUIRE_OR_STOP(::brk(block + 4 * page) == 0);
  block[page] = 'h';
  REQUIRE_OR_STOP(::mseal(block + page, page, 0) == 0);
  const long before = shim::raw_syscall(__NR_brk, 0);
  EXPECT(before == reinterpret_cast<long>(block + 4 * page));
  const long lowered = shim::raw_syscall(__NR_brk, block);
  EXPECT(lowered == 0 || lowered == before);
  EXPECT(shim::raw_syscall(__NR_brk, 0) == before);
  // libc believes a kernel that answers with the current break; ours answers 0, which libc reports
  errno = 0;
  EXPECT(::brk(old_break) == 0 || errno == ENOMEM);
  EXPECT(shim::raw_syscall(__NR_brk, 0) == before);
  EXPECT(block[page] == 'h');
  EXPECT(shim::raw_syscall(__NR_brk, block + 2 * page) == reinterpret_cast<long>(block + 2 * page));
  EXPECT(shim::raw_syscall(__NR_brk, block + 8 * page) == reinterpret_cast<long>(block + 8 * page));
  for (int round = 0; round < 1000; ++round) {
    void* const memory = std::malloc(static_cast<std::size_t>(round) * 100);
    std::memset(memory, 1, static_cast<std::size_t>(round) * 100);
    std::free(memory);
  }
}

// Writable memory with a protection key, sealed: a thread may discard it if it may write it.
char* keyed_page(int& key) {
  char* const page = map_pages(1);
  key = ::pkey_alloc(0, 0);
  REQUIRE_OR_STOP(key > 0 && ::pkey_mprotect(page, page_size(), PROT_READ | PROT_WRITE, key) == 0);
  std::memset(page, 'k', page_size());
  REQUIRE_OR_STOP(::mseal(page, page_size(), 0) == 0);
  return page;
}

void keys_decide_about_discarding(std::span<char*>) {
  int key = 0;
  char* const page = keyed_page(key);
  const Calls call{Via::libc};
  EXPECT(call.advise(page, page_size(), MADV_FREE) == 0);
  EXPECT(call.advise(page, page_size(), MADV_DONTNEED) == 0);
  EXPECT(page[0] == 0 && page[page_size() - 1] == 0);
  std::memset(page, 'k', page_size());

  EXPECT(::pkey_set(key, PKEY_DISABLE_WRITE) == 0);
  for (const int advice : {MADV_DONTNEED, MADV_FREE, MADV_WIPEONFORK}) {
    EXPECT(call.advise(page, page_size(), advice) == -EPERM);
    EXPECT(libc_value(::syscall(__NR_madvise, page, page_size(), advice)) == -EPERM);
    EXPECT(Calls{Via::raw}.advise(page, page_size(), advice) == -EPERM);
  }
  EXPECT(page[0] == 'k' && page[page_size() - 1] == 'k');
  EXPECT(::pkey_set(key, PKEY_DISABLE_ACCESS) == 0);
  EXPECT(call.advise(page, page_size(), MADV_DONTNEED) == -EPERM);
  // each thread has rights of its own: a new one gets its parent's
  std::thread([&] {
    EXPECT(call.advise(page, page_size(), MADV_DONTNEED) == -EPERM);
    EXPECT(::pkey_set(key, 0) == 0);
    EXPECT(page[0] == 'k');
    EXPECT(call.advise(page, page_size(), MADV_DONTNEED) == 0);
    EXPECT(page[0] == 0);
  }).join();
  EXPECT(call.advise(page, page_size(), MADV_DONTNEED) == -EPERM);
  EXPECT(call.unmap(page, page_size()) == -EPERM);
  EXPECT(call.protect_key(page, page_size(), PROT_READ | PROT_WRITE, 0) == -EPERM);
}

// No filter sees the register, so a discard past the library is refused to everybody.
void raw_discard_of_keyed_memory_is_refused(std::span<char*>) {
  int key = 0;
  char* const page = keyed_page(key);
  EXPECT(Calls{Via::raw}.advise(page, page_size(), MADV_DONTNEED) == -EPERM);
  EXPECT(page[0] == 'k');
}

unsigned long new_ring(long events) {
  unsigned long ring = 0;
  REQUIRE_OR_STOP(shim::raw_syscall(__NR_io_setup, events, &ring) == 0);
  return ring;
}

void wait_until_destroyed(unsigned long ring, std::atomic<pid_t>* own_number = nullptr) {
  if (own_number != nullptr) *own_number = ::gettid();
  char events[32 * 8];
  long result = 0;
  do {
    result = shim::raw_syscall(__NR_io_getevents, ring, 1, 8, events, nullptr);
  } while (result == -EINTR);
  EXPECT(result == -EINVAL);
}

// With threads that run, sleep, and wait for the ring: all of them go on afterwards.
void destroys_a_ring(std::span<char*>) {
  const unsigned long ring = new_ring(8);
  int pipe[2];
  REQUIRE_OR_STOP(::pipe(pipe) == 0);
  std::atomic<long> steps = 0;
  std::atomic<bool> done = false;
  std::thread runs([&] {
    while (!done) ++steps;
  });
  std::atomic<pid_t> sleeping = 0;
  std::atomic<pid_t> waiting = 0;
  std::thread sleeps([&] {
    sleeping = ::gettid();
    char byte = 0;
    EXPECT(::read(pipe[0], &byte, 1) == 1);
  });
  std::thread waits(wait_until_destroyed, ring, &waiting);
  EXPECT(wait_until_in_call(sleeping, __NR_read) && wait_until_in_call(waiting, __NR_io_getevents));
  EXPECT(shim::raw_syscall(__NR_io_destroy, ring) == 0);
  EXPECT(shim::raw_syscall(__NR_io_destroy, ring) == -EINVAL);
  waits.join();
  const long before = steps;
  EXPECT(::write(pipe[1], "x", 1) == 1);
  sleeps.join();
  while (steps == before) ::usleep(1000);
  done = true;
  runs.join();
}

// Threads that create and destroy rings at the same time, while one sleeps in io_getevents.
void many_threads_have_rings(std::span<char*>) {
  const Area area;
  const unsigned long waited_for = new_ring(8);
  std::thread waits(wait_until_destroyed, waited_for, nullptr);
  std::vector<std::thread> threads;
  for (int count = 0; count < 8; ++count) {
    threads.emplace_back([] {
      for (int round = 0; round < 20; ++round) EXPECT(shim::raw_syscall(__NR_io_destroy, new_ring(8)) == 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT(shim::raw_syscall(__NR_io_destroy, waited_for) == 0);
  waits.join();
}

long move_page(char* from, char* to) {
  return shim::raw_syscall(__NR_mremap, from, page_size(), page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

// A thread that has created a ring, and others while one is destroyed, can move memory.
void moves_memory_beside_rings(std::span<char*>) {
  const Area area;
  std::atomic<bool> done = false;
  std::thread destroys([&] {
    while (!done) EXPECT(shim::raw_syscall(__NR_io_destroy, new_ring(8)) == 0);
  });
  // To where something is mapped: a ring may be placed where nothing is.
  char* const target = map_pages(1);
  for (int round = 0; round < 20; ++round) {
    EXPECT(move_page(map_pages(1), target) == reinterpret_cast<long>(target));
    const unsigned long ring = new_ring(8);
    EXPECT(move_page(map_pages(1), target) == reinterpret_cast<long>(target));
    if (round == 0) EXPECT(shim::raw_syscall(__NR_io_destroy, ring) == 0);
  }
  done = true;
  destroys.join();
}

// A ring that may reach up to a seal, for there was a larger one before.
void keeps_a_ring_below_a_seal(std::span<char*>) {
  std::optional<Area> area;
  char* below = nullptr;
  constexpr std::uintptr_t kHugePage = 2 << 20;
  do {  // an mremap to a huge page boundary is treated as larger
    area.emplace();
    below = area->sealed - area->page;
  } while (reinterpret_cast<std::uintptr_t>(below) % kHugePage == 0);
  (void)new_ring(1024);
  const unsigned long ring = new_ring(8);
  REQUIRE_OR_STOP(shim::raw_syscall(__NR_mremap, ring, area->page, area->page, MREMAP_MAYMOVE | MREMAP_FIXED,
                                    below) == reinterpret_cast<long>(below));
  EXPECT(shim::raw_syscall(__NR_io_destroy, below) == -EPERM);
}

constexpr Scenario kScenarios[] = {
    {"destroys_a_ring", destroys_a_ring},
    {"many_threads_have_rings", many_threads_have_rings},
    {"moves_memory_beside_rings", moves_memory_beside_rings},
    {"keeps_a_ring_below_a_seal", keeps_a_ring_below_a_seal},
    {"refuses_changes", refuses_changes},
    {"leaves_neighbours_alone", leaves_neighbours_alone},
    {"keeps_kernels_order_of_errors", keeps_kernels_order_of_errors},
    {"discards_what_is_writable", discards_what_is_writable},
    {"seals_mixed_protections", seals_mixed_protections},
    {"keeps_sealed_heap", keeps_sealed_heap},
    {"keys_decide_about_discarding", keys_decide_about_discarding},
    {"raw_discard_of_keyed_memory_is_refused", raw_discard_of_keyed_memory_is_refused},
};

}  // namespace

std::span<const Scenario> refusal_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
