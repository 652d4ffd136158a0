// mseal, mimmutable and mseal_query as functions, and what is sealed at start.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"

namespace libmseal::tests {
namespace {

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

// auto=elf: this program's own text, and the supervisor's table.
void own_text_is_sealed(std::span<char*>) {
  char* const text = own_text();
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
  char* const text = own_text();
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
    {"audit_refuses_nothing", audit_refuses_nothing},
    {"own_text_is_sealed", own_text_is_sealed},
    {"own_text_is_not_sealed", own_text_is_not_sealed},
    {"libc_backend_sees_libc_only", libc_backend_sees_libc_only},
};

}  // namespace

std::span<const Scenario> api_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
