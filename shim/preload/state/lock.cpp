#include "shim/preload/state/lock.h"

#include <linux/futex.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include "shim/common/raw_syscall.h"
#include "shim/preload/libc/next_function.h"
#include "shim/preload/state/program_filters.h"

// What glibc's pthread_atfork calls (nptl/pthread_atfork.c). musl lacks it and does not need it: it unlocks
// its list in a child (ldso/dynlink.c, __ldso_atfork).
// NOLINTBEGIN(bugprone-reserved-identifier): glibc's own names.
extern "C" {
int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void* object)
    __attribute__((weak));
extern void* __dso_handle __attribute__((visibility("hidden")));
}
// NOLINTEND(bugprone-reserved-identifier)

namespace libmseal::shim {
namespace {

enum : std::uint32_t { kFree, kHeld, kContended };

// All are zero in a forked child (MADV_WIPEONFORK).
struct Words {
  std::atomic<std::uint32_t> lock = kFree;
  std::atomic<std::uint32_t> releases = 0;
  std::atomic<bool> objects = false;
  std::atomic<bool> noted_here = false;    // the local seals include some of this process
  std::atomic<bool> list_is_free = false;  // the dynamic linker's list of objects is not locked
  std::atomic<long> process = 0;           // 0: not known yet
  UnreportedRefusals unreported_refusals;
};

Words g_fallback;  // if there is no page that is wiped
Words* g_words = &g_fallback;

WorkingMemory* g_memory = nullptr;

constexpr unsigned long kPageBytes = 65536;  // a page on every supported configuration

// glibc's __libc_single_threaded (since 2.32): a child has what its parent had.
const char* g_one_thread = nullptr;

bool has_one_thread() {
  return g_one_thread != nullptr && *g_one_thread != 0;
}

// Runs in a child, before it can have threads.
void note_fork() {
  if (has_one_thread()) g_words->list_is_free = true;
  if (!program_filters_kill(Purpose::reading)) g_words->process = raw_syscall(__NR_getpid);
}

}  // namespace

void prepare_lock(WorkingMemory& memory) {
  g_memory = &memory;
  const long page =
      raw_syscall(__NR_mmap, 0, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool is_wiped = !failed(page) && !program_filters_kill(Purpose::joining) &&
                        raw_syscall(__NR_madvise, page, kPageBytes, MADV_WIPEONFORK) == 0;
  if (is_wiped) g_words = reinterpret_cast<Words*>(page);
  g_words->list_is_free = true;
  if (!program_filters_kill(Purpose::reading)) g_words->process = raw_syscall(__NR_getpid);
  g_one_thread = static_cast<const char*>(find_variable("__libc_single_threaded"));
  if (__register_atfork != nullptr) (void)__register_atfork(nullptr, nullptr, note_fork, &__dso_handle);
}

bool may_ask_dynamic_linker() {
  return g_words->list_is_free || has_one_thread() || __register_atfork == nullptr;
}

ExclusiveSection::ExclusiveSection() {
  // A program whose own filter traps calls to a SIGSYS handler is killed if that signal is blocked.
  const std::uint64_t all = ~(1ULL << (SIGSYS - 1));
  (void)raw_syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &signals_, sizeof all);
  std::uint32_t expected = kFree;
  if (g_words->lock.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) return;
  holds_ = wait();
}

bool ExclusiveSection::wait() {
  constexpr struct { std::int64_t seconds, nanoseconds; } kPatience{20, 0};
  while (g_words->lock.exchange(kContended, std::memory_order_acquire) != kFree) {
    const std::uint32_t before = g_words->releases.load();
    const long woken = raw_syscall(__NR_futex, &g_words->lock, FUTEX_WAIT_PRIVATE, kContended, &kPatience);
    if (woken == -ETIMEDOUT && g_words->releases.load() == before) return false;
  }
  return true;
}

ExclusiveSection::~ExclusiveSection() {
  if (holds_) {
    ++g_words->releases;
    if (g_words->lock.exchange(kFree, std::memory_order_release) == kContended)
      (void)raw_syscall(__NR_futex, &g_words->lock, FUTEX_WAKE_PRIVATE, 1);
  }
  (void)raw_syscall(__NR_rt_sigprocmask, SIG_SETMASK, &signals_, nullptr, sizeof signals_);
}

Job& ExclusiveSection::job() const {  // NOLINT(readability-convert-member-functions-to-static): the holder's
  return g_memory->job;
}

bool local_seals_are_of_parent() {
  return g_words == &g_fallback || !g_words->noted_here;
}

void note_local_seals_are_own() {
  g_words->noted_here = true;
}

bool is_process_of_memory(long process) {
  long known = 0;
  return g_words->process.compare_exchange_strong(known, process) || known == process;
}

UnreportedRefusals& unreported_refusals() {
  return g_words->unreported_refusals;
}

ObjectsTurn::ObjectsTurn() : mine_(!g_words->objects.exchange(true, std::memory_order_acquire)) {}

ObjectsWork& ObjectsTurn::work() const {  // NOLINT(readability-convert-member-functions-to-static): the same
  return g_memory->objects;
}

ObjectsTurn::~ObjectsTurn() {
  if (mine_) g_words->objects.store(false, std::memory_order_release);
}

}  // namespace libmseal::shim
