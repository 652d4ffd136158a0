// Threads that run, wait or are debugged while a seal is made, and signals.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "mseal/mseal.h"
#include "shim/common/no_copy.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"
#include "tests/support/maps.h"
#include "tests/support/waiting.h"

namespace libmseal::tests {
namespace {

void threads_are_covered(std::span<char*>) {
  std::atomic<char*> page = nullptr;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  std::atomic<int> checked = 0;
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&] {
      while (page.load() == nullptr) ::sched_yield();
      expect_sealed(page.load());
      ++checked;
      while (!done.load()) ::sched_yield();
    });
  }
  page = sealed_page();
  while (checked.load() != 4) ::sched_yield();
  std::thread([&] { expect_sealed(page.load()); }).join();
  // from a thread that is not the first
  std::thread([&] { expect_sealed(sealed_page()); }).join();
  done = true;
  for (std::thread& thread : threads) thread.join();
}

sigjmp_buf g_fault;

// Whether the byte can be read this moment: a look that waits for no lock.
__attribute__((noinline)) bool readable(const char* at) {
  if (sigsetjmp(g_fault, 1) != 0) return false;
  (void)*static_cast<const volatile char*>(at);
  return true;
}

// One thread changes a page in a loop while another seals it, and a third keeps the memory map's lock busy,
// so that calls which passed the filters before the seal came wait for it. Whatever mseal finds when it
// reports success is what stays.
void seal_beats_in_flight_calls(std::span<char*>) {
  // In small pages, so that changing their protection takes a while.
  const std::size_t busy_size = 16U << 20;
  char* const busy = map_pages(busy_size / page_size());
  REQUIRE_OR_STOP(::madvise(busy, busy_size, MADV_NOHUGEPAGE) == 0);
  std::memset(busy, 1, busy_size);
  struct sigaction action {};
  action.sa_handler = [](int) { siglongjmp(g_fault, 1); };
  ::sigaction(SIGSEGV, &action, nullptr);
  std::atomic<bool> done = false;
  std::thread holder([&] {
    const Calls call{Via::raw};
    while (!done.load()) {
      (void)call.protect(busy, busy_size, PROT_READ);
      (void)call.protect(busy, busy_size, PROT_READ | PROT_WRITE);
    }
  });
  int sealed = 0;
  for (int round = 0; round < 60; ++round) {
    char* const page = readable_page();
    std::atomic<int> tries = 0;
    std::atomic<bool> enough = false;
    std::thread racer([&] {
      const Calls call{Via::raw};
      while (!enough.load()) {
        ++tries;
        (void)call.protect(page, page_size(), PROT_NONE);
        (void)call.protect(page, page_size(), PROT_READ | PROT_WRITE);
        if (round % 3 == 0) (void)call.unmap(page, page_size());
        // A sleeping thread is not stopped, and may wake up at any moment of the seal.
        if (round % 2 == 0) ::usleep(30);
      }
    });
    while (tries.load() == 0) ::sched_yield();
    ::usleep(static_cast<useconds_t>(round) * 10);  // time itself: each round seals at another moment
    const long result = libc_value(::mseal(page, page_size(), 0));
    const bool readable_at_seal = readable(page);
    const std::string at_seal = maps_of(page, page_size());
    EXPECT(result == 0 || result == -ENOMEM);
    // A few calls more, and whatever was in flight has come to its end.
    for (const int now = tries.load(); tries.load() < now + 3;) ::sched_yield();
    enough = true;
    racer.join();
    if (result != 0) continue;
    ++sealed;
    EXPECT(!at_seal.empty());
    EXPECT(maps_of(page, page_size()) == at_seal);
    EXPECT(readable(page) == readable_at_seal);
  }
  done = true;
  holder.join();
  EXPECT(sealed > 0);
}

// Whether a thread waits in the kernel.
bool sleeps(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string text;
  std::getline(status, text);
  return text.find(") S ") != std::string::npos;
}

// Threads that never sleep and take no signals: a seal stops each for a moment, and they do not notice. Nor
// does one that waits, which a careless stop would wake with EINTR.
void busy_threads_do_not_notice(std::span<char*>) {
  std::atomic<bool> done = false;
  std::latch started(3);
  std::atomic<pid_t> waiter = 0;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::vector<std::thread> threads;
  for (int index = 0; index < 3; ++index) {
    threads.emplace_back([&] {
      started.count_down();
      while (!done.load(std::memory_order_relaxed)) {
      }
    });
  }
  int gate[2];
  REQUIRE_OR_STOP(::pipe(gate) == 0);
  const int events = ::epoll_create1(0);
  epoll_event wanted{EPOLLIN, {}};
  REQUIRE_OR_STOP(::epoll_ctl(events, EPOLL_CTL_ADD, gate[0], &wanted) == 0);
  threads.emplace_back([&] {
    waiter = ::gettid();
    epoll_event event{};
    EXPECT(::epoll_wait(events, &event, 1, -1) == 1);
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  started.wait();
  EXPECT(eventually([&] { return sleeps(waiter.load()); }));
  for (int round = 0; round < 40; ++round) expect_sealed(sealed_page());
  EXPECT(::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD);
  done = true;
  EXPECT(::write(gate[1], "x", 1) == 1);
  for (std::thread& thread : threads) thread.join();
}

// A thread that seals in a loop does not keep others from calls that the supervisor decides. Each seal
// interrupts such a call, and it begins anew.
void calls_get_through_between_seals(std::span<char*>) {
  constexpr int kCalls = 200;
  constexpr int kMostSeals = 20'000;
  std::atomic<bool> done = false;
  std::atomic<int> seals = 0;
  std::thread sealer([&] {
    while (!done && seals < kMostSeals) {
      void* const page =
          ::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_SEALABLE, -1, 0);
      REQUIRE_OR_STOP(page != MAP_FAILED && ::mseal(page, page_size(), 0) == 0);
      ++seals;
    }
  });
  EXPECT(eventually([&] { return seals > 0; }));
  char* const target = readable_page();
  for (int call = 0; call < kCalls && seals < kMostSeals; ++call) {
    EXPECT(::mremap(readable_page(), page_size(), page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, target) ==
           target);
  }
  EXPECT(seals < kMostSeals);
  done = true;
  sealer.join();
}

// A thread in the hands of a debugger can't be stopped by us: the seal waits for it by its running time.
void debugged_thread_is_waited_for(std::span<char*>) {
  std::atomic<bool> done = false;
  std::atomic<pid_t> busy = 0;
  std::thread thread([&] {
    busy = ::gettid();
    busy.notify_one();
    while (!done.load(std::memory_order_relaxed)) {
    }
  });
  busy.wait(0);
  int gate[2];
  REQUIRE_OR_STOP(::pipe(gate) == 0);
  const pid_t debugger = ::fork();
  if (debugger == 0) {
    const bool traces = ::ptrace(PTRACE_SEIZE, busy.load(), nullptr, nullptr) == 0;
    EXPECT(::write(gate[1], traces ? "t" : "f", 1) == 1);
    ::pause();
    ::_exit(0);
  }
  char traces = 0;
  REQUIRE_OR_STOP(::read(gate[0], &traces, 1) == 1 && traces == 't');
  expect_sealed(sealed_page());
  ::kill(debugger, SIGKILL);
  ::waitpid(debugger, nullptr, 0);
  expect_sealed(sealed_page());
  done = true;
  thread.join();
}

volatile std::sig_atomic_t g_ticks = 0;

// Signals every millisecond: EPERM and nothing else, and no standstill.
void signals_do_not_help(std::span<char*>) {
  struct sigaction action {};
  action.sa_handler = [](int) { g_ticks = g_ticks + 1; };
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &action, nullptr);
  const itimerval interval{{0, 1000}, {0, 1000}};
  ::setitimer(ITIMER_REAL, &interval, nullptr);
  char* const page = sealed_page();
  while (g_ticks < 300) {
    EXPECT(Calls{Via::raw}.protect(own_text(), page_size(), PROT_READ | PROT_WRITE) == -EPERM);
    EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
  }
}

// Signals to a handler that does not ask for restarts, and a supervisor that does not come at once.
class Interruptions : shim::NoCopy {
 public:
  explicit Interruptions(long microseconds) {
    struct sigaction action {};
    action.sa_handler = [](int) { g_ticks = g_ticks + 1; };
    ::sigaction(SIGALRM, &action, nullptr);
    for (pid_t& spinner : spinners_) {
      spinner = ::fork();
      while (spinner == 0) (void)::getppid();
      REQUIRE_OR_STOP(spinner > 0);
    }
    const itimerval interval{{0, microseconds}, {0, microseconds}};
    ::setitimer(ITIMER_REAL, &interval, nullptr);
  }
  ~Interruptions() {
    constexpr itimerval kNone{};
    ::setitimer(ITIMER_REAL, &kNone, nullptr);
    for (const pid_t spinner : spinners_) {
      ::kill(spinner, SIGKILL);
      ::waitpid(spinner, nullptr, 0);
    }
  }

 private:
  std::array<pid_t, 2> spinners_{};
};

// A call that waits for the supervisor may be interrupted before that has taken it. Programs do not expect
// that of these.
void interrupted_calls_go_on(std::span<char*>) {
  const Interruptions interruptions(500);
  while (g_ticks < 2000) {
    void* const memory = ::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(memory != MAP_FAILED);
    EXPECT(::mprotect(memory, page_size(), PROT_READ | PROT_WRITE) == 0);
    EXPECT(::madvise(memory, page_size(), MADV_DONTNEED) == 0);
    EXPECT(::munmap(memory, page_size()) == 0);
    const pid_t child = ::fork();
    EXPECT(child >= 0);
    if (child == 0) ::_exit(0);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

// libc takes whatever brk answers for the new break, EINTR as well.
void heap_grows_under_signals(std::span<char*>) {
  const std::size_t page = page_size();
  const Interruptions interruptions(1000);
  while (g_ticks < 1000) {
    const long start = shim::raw_syscall(__NR_brk, 0);
    for (const std::size_t size : {64 * page, std::size_t{0}}) {
      const long end = start + static_cast<long>(size);
      const long answer = shim::raw_syscall(__NR_brk, end);
      REQUIRE_OR_STOP(answer == end);
    }
    // Together more than malloc keeps, each less than it takes from mmap.
    std::vector<std::string> blocks;
    for (int block = 0; block < 64; ++block) blocks.emplace_back(50'000, static_cast<char>('A' + block));
    for (int block = 0; block < 64; ++block) {
      REQUIRE_OR_STOP(blocks[static_cast<std::size_t>(block)].find_first_not_of(
                          static_cast<char>('A' + block)) == std::string::npos);
    }
  }
}

// Seals belong to the process, not to the thread that asked.
void seals_outlive_their_thread(std::span<char*>) {
  for (int round = 0; round < 3; ++round) {
    char* page = nullptr;
    std::thread([&] { page = sealed_page(); }).join();
    expect_sealed(page);
    EXPECT(::mseal_query(page, 1) == MSEAL_STATE_FULLY);
    in_child([&] { expect_sealed(page); });
    expect_sealed(sealed_page());
  }
  expect_sealed(own_text());
}

// The dynamic linker's list of objects, which glibc leaves locked in a child, if another thread goes through
// it at the fork.
template <class Work>
void with_list_locked(Work work) {
  const auto visit = [](dl_phdr_info*, std::size_t, void* data) {
    (*static_cast<Work*>(data))();
    return 1;
  };
  (void)::dl_iterate_phdr(visit, &work);
}

void child_of_threads_starts_programs(std::span<char*>) {
  std::atomic<bool> locked = false;
  std::atomic<bool> done = false;
  std::thread holder([&] {
    with_list_locked([&] {
      locked = true;
      while (!done) ::sched_yield();
    });
  });
  while (!locked) ::sched_yield();
  char name[] = "true";
  char* const command[] = {name, nullptr};
  const auto in_timed_child = [&](auto work) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(10);
      work();
      ::_exit(1);
    }
    EXPECT(ends_with(child, 0));
  };
  in_timed_child([&] { ::execvp(name, command); });
  in_timed_child([&] {
    pid_t spawned = 0;
    int status = -1;
    const int error = ::posix_spawnp(&spawned, name, nullptr, nullptr, command, environ);
    ::_exit(error == 0 && ::waitpid(spawned, &status, 0) == spawned ? status : 1);
  });
  in_timed_child([&] { ::_exit(::dlsym(RTLD_DEFAULT, "mseal") != nullptr ? 0 : 1); });
  done = true;
  holder.join();
}

// mseal_loaded takes the lock of that list first and the library's second: nothing may do so the other way
// round.
void seals_while_the_list_is_locked(std::span<char*>) {
  ::alarm(20);
  char* const page = readable_page();
  std::atomic<bool> locked = false;
  std::atomic<bool> done = false;
  std::thread sealer([&] {
    while (!locked) ::sched_yield();
    EXPECT(::mseal(page, page_size(), 0) == 0);
    done = true;
  });
  with_list_locked([&] {
    locked = true;
    while (!done) ::sched_yield();
  });
  sealer.join();
}

// The backend starts when the first thread has ended, which shows no memory any more.
void seals_without_first_thread(std::span<char*>) {
  static const pthread_t first = ::pthread_self();
  std::thread([] {
    (void)::pthread_join(first, nullptr);
    expect_sealed(sealed_page());
    ::_exit(g_failures == 0 ? 0 : 1);
  }).detach();
  ::pthread_exit(nullptr);
}

// An audit begins while threads run and sleep, and the first one has ended. It refuses nothing, and
// interrupts no call.
void audit_begins_late(std::span<char*>) {
  static const pthread_t first = ::pthread_self();
  std::thread([] {
    (void)::pthread_join(first, nullptr);
    std::atomic<bool> done = false;
    std::atomic<int> waits = 0;
    std::thread runs([&] {
      while (!done) ++waits;
    });
    std::thread sleeps([&] {
      const int poll = ::epoll_create1(0);
      epoll_event event{};
      EXPECT(::epoll_wait(poll, &event, 1, 500) == 0);
    });
    while (waits == 0) ::sched_yield();
    for (int time = 0; time < 20; ++time) {
      char* const page = sealed_page();
      EXPECT(Calls{Via::raw}.unmap(page, page_size()) == 0);
    }
    done = true;
    runs.join();
    sleeps.join();
    ::_exit(g_failures == 0 ? 0 : 1);
  }).detach();
  ::pthread_exit(nullptr);
}

// A sealed page, which the handler tries to unmap.
std::atomic<char*> g_tried_by_handler = nullptr;
std::atomic<int> g_tried = 0;  // by several threads
std::atomic<int> g_refused = 0;

// Seals, forks, dlopen and signals at the same time, so often each: some meet in the middle of another.
void everything_at_once(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 2);
  const int times = std::stoi(arguments[0]);
  g_tried_by_handler = sealed_page();
  struct sigaction action {};
  action.sa_handler = [](int) {
    char* const sealed = g_tried_by_handler;
    const int kept = errno;
    ++g_tried;
    if (::munmap(sealed, page_size()) == -1 && errno == EPERM) ++g_refused;
    errno = kept;
  };
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &action, nullptr);
  const itimerval interval{{0, 1000}, {0, 1000}};
  constexpr itimerval kNone{};
  ::setitimer(ITIMER_REAL, &interval, nullptr);
  std::thread seals([times] {
    for (int time = 0; time < times; ++time) {
      char* const page = sealed_page();
      EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
      g_tried_by_handler = page;
    }
  });
  std::thread loads([times, &arguments] {
    for (int time = 0; time < times; ++time) {
      void* const object = ::dlopen(arguments[1], RTLD_NOW);
      EXPECT(object != nullptr && ::dlclose(object) == 0);
    }
  });
  for (int time = 0; time < times; ++time) {
    char* const page = readable_page();
    const pid_t child = ::fork();
    REQUIRE_OR_STOP(child >= 0);
    if (child == 0) {
      // Its parent's seals and its own.
      EXPECT(Calls{Via::raw}.unmap(g_tried_by_handler, page_size()) == -EPERM);
      EXPECT(::mseal(page, page_size(), 0) == 0);
      EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
      ::_exit(g_failures == 0 ? 0 : 1);
    }
    EXPECT(Calls{Via::raw}.unmap(page, page_size()) == 0);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    EXPECT(status == 0);
  }
  seals.join();
  loads.join();
  ::setitimer(ITIMER_REAL, &kNone, nullptr);
  EXPECT(g_tried > 0 && g_refused == g_tried);
}

constexpr Scenario kScenarios[] = {
    {"audit_begins_late", audit_begins_late},
    {"everything_at_once", everything_at_once},
    {"child_of_threads_starts_programs", child_of_threads_starts_programs},
    {"seals_while_the_list_is_locked", seals_while_the_list_is_locked},
    {"seals_without_first_thread", seals_without_first_thread},
    {"seals_outlive_their_thread", seals_outlive_their_thread},
    {"threads_are_covered", threads_are_covered},
    {"seal_beats_in_flight_calls", seal_beats_in_flight_calls},
    {"busy_threads_do_not_notice", busy_threads_do_not_notice},
    {"calls_get_through_between_seals", calls_get_through_between_seals},
    {"debugged_thread_is_waited_for", debugged_thread_is_waited_for},
    {"signals_do_not_help", signals_do_not_help},
    {"interrupted_calls_go_on", interrupted_calls_go_on},
    {"heap_grows_under_signals", heap_grows_under_signals},
};

}  // namespace

std::span<const Scenario> thread_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
