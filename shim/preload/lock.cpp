#include "shim/preload/lock.h"

#include <linux/futex.h>
#include <sys/mman.h>

#include <atomic>
#include <csignal>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

enum : std::uint32_t { kFree, kHeld, kContended };

std::atomic<std::uint32_t> g_fallback = kFree;  // if there is no memory for the page
std::atomic<std::uint32_t>* g_word = &g_fallback;

constexpr unsigned long kPageBytes = 65536;  // a page on every supported configuration

}  // namespace

void prepare_lock() {
  const long page =
      raw_syscall(__NR_mmap, 0, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (failed(page)) return;
  (void)raw_syscall(__NR_madvise, page, kPageBytes, MADV_WIPEONFORK);
  g_word = reinterpret_cast<std::atomic<std::uint32_t>*>(page);
}

ExclusiveSection::ExclusiveSection() {
  // A program whose own filter traps calls to a SIGSYS handler is killed if that signal is blocked.
  const std::uint64_t all = ~(1ULL << (SIGSYS - 1));
  (void)raw_syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &signals_, sizeof all);
  std::uint32_t expected = kFree;
  if (g_word->compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) return;
  while (g_word->exchange(kContended, std::memory_order_acquire) != kFree) {
    (void)raw_syscall(__NR_futex, g_word, FUTEX_WAIT_PRIVATE, kContended, nullptr);
  }
}

ExclusiveSection::~ExclusiveSection() {
  if (g_word->exchange(kFree, std::memory_order_release) == kContended) {
    (void)raw_syscall(__NR_futex, g_word, FUTEX_WAKE_PRIVATE, 1);
  }
  (void)raw_syscall(__NR_rt_sigprocmask, SIG_SETMASK, &signals_, nullptr, sizeof signals_);
}

}  // namespace libmseal::shim
