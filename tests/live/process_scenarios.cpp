// Threads, forks, execs, and what the program must not notice.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"

namespace libmseal::tests {
namespace {

char* sealed_page() {
  void* const memory = ::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE_OR_STOP(memory != MAP_FAILED);
  REQUIRE_OR_STOP(::mseal(memory, page_size(), 0) == 0);
  return static_cast<char*>(memory);
}

void expect_sealed(char* at) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    EXPECT(call.unmap(at, page_size()) == -EPERM);
    EXPECT(call.protect(at, page_size(), PROT_READ | PROT_WRITE) == -EPERM);
    EXPECT(call.advise(at, page_size(), MADV_DONTNEED) == -EPERM);
  }
}

char* own_text() {
  return reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(&own_text) & -page_size());
}

// Runs `body` in a child and passes its failures on.
template <class Body>
void in_child(Body body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  REQUIRE_OR_STOP(child >= 0);
  if (child == 0) {
    g_failures = 0;
    body();
    ::_exit(g_failures == 0 ? 0 : 1);
  }
  int status = 0;
  EXPECT(::waitpid(child, &status, 0) == child);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void fork_inherits(std::span<char*>) {
  char* const before = sealed_page();
  in_child([&] {
    expect_sealed(before);
    expect_sealed(own_text());
    char* const own = sealed_page();
    expect_sealed(own);
    in_child([&] {
      expect_sealed(before);
      expect_sealed(own);
      EXPECT(::mseal_query(own, 1) == MSEAL_STATE_FULLY);
    });
  });
  expect_sealed(before);
}

// What a child seals is the child's.
void fork_does_not_seal_the_parent(std::span<char*>) {
  char* const page =
      static_cast<char*>(::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  in_child([&] {
    EXPECT(::mseal(page, page_size(), 0) == 0);
    expect_sealed(page);
  });
  in_child([&] {  // a sibling that has to seal for itself, whatever the table says of its brother
    EXPECT(::mseal(page, page_size(), 0) == 0);
    expect_sealed(page);
  });
  EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_READ | PROT_WRITE) == 0);
  EXPECT(Calls{Via::raw}.unmap(page, page_size()) == 0);
}

// What a parent seals after the fork is the parent's: in a watched range, where the supervisor refuses, and
// elsewhere.
void seals_after_the_fork_are_not_inherited(std::span<char*>) {
  void* const below_a_gib = reinterpret_cast<void*>(0x2000'0000);  // watched on every machine
  char* const watched = static_cast<char*>(
      ::mmap(below_a_gib, 2 * 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
  char* const far_away = map_far_away(2 * 65536, PROT_READ);
  REQUIRE_OR_STOP(watched == below_a_gib && far_away != nullptr);
  for (char* const memory : {watched, far_away}) EXPECT(::mseal(memory, 65536, 0) == 0);
  std::array<int, 2> pipe{};
  REQUIRE_OR_STOP(::pipe(pipe.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    const bool told = ::read(pipe[0], &byte, 1) == 1;  // the first calls that this process makes come now
    const Calls call{Via::raw};
    EXPECT(told);
    for (char* const memory : {watched, far_away}) {
      EXPECT(call.protect(memory, 65536, PROT_READ | PROT_WRITE) == -EPERM);
      EXPECT(call.protect(memory + 65536, 65536, PROT_READ | PROT_WRITE) == 0);
      EXPECT(call.unmap(memory + 65536, 65536) == 0);
    }
    ::_exit(g_failures == 0 ? 0 : 1);
  }
  for (char* const memory : {watched, far_away}) EXPECT(::mseal(memory + 65536, 65536, 0) == 0);
  EXPECT(::write(pipe[1], "x", 1) == 1);
  int status = 0;
  EXPECT(::waitpid(child, &status, 0) == child && status == 0);
  for (char* const memory : {watched, far_away})
    EXPECT(Calls{Via::raw}.protect(memory + 65536, 65536, PROT_READ | PROT_WRITE) == -EPERM);
}

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
  char* const busy = static_cast<char*>(
      ::mmap(nullptr, busy_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE_OR_STOP(busy != MAP_FAILED && ::madvise(busy, busy_size, MADV_NOHUGEPAGE) == 0);
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
    char* const page =
        static_cast<char*>(::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::atomic<int> phase = 0;
    std::thread racer([&] {
      const Calls call{Via::raw};
      phase = 1;
      while (phase.load() != 2) {
        (void)call.protect(page, page_size(), PROT_NONE);
        (void)call.protect(page, page_size(), PROT_READ | PROT_WRITE);
        if (round % 3 == 0) (void)call.unmap(page, page_size());
        if (round % 2 == 0) ::usleep(30);  // who sleeps is not stopped, and may wake up at any time
      }
    });
    while (phase.load() != 1) ::sched_yield();
    ::usleep(static_cast<useconds_t>(round) * 10);
    const long result = libc_value(::mseal(page, page_size(), 0));
    const bool readable_at_seal = readable(page);
    const std::string at_seal = maps_of(page, page_size());
    EXPECT(result == 0 || result == -ENOMEM);
    ::usleep(5000);  // time for whatever comes too late
    phase = 2;
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

// Threads that never sleep and take no signals: a seal stops each for a moment, and they do not notice. Nor
// does one that waits, which a careless stop would wake with EINTR.
void busy_threads_do_not_notice(std::span<char*>) {
  std::atomic<bool> done = false;
  std::atomic<int> started = 0;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::vector<std::thread> threads;
  for (int index = 0; index < 3; ++index) {
    threads.emplace_back([&] {
      ++started;
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
    ++started;
    epoll_event event{};
    EXPECT(::epoll_wait(events, &event, 1, -1) == 1);
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  while (started.load() != 4) ::usleep(1000);
  ::usleep(20'000);
  for (int round = 0; round < 40; ++round) expect_sealed(sealed_page());
  EXPECT(::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD);
  done = true;
  EXPECT(::write(gate[1], "x", 1) == 1);
  for (std::thread& thread : threads) thread.join();
}

// A thread in the hands of a debugger can't be stopped by us: the seal waits for it by its running time.
void debugged_thread_is_waited_for(std::span<char*>) {
  std::atomic<bool> done = false;
  std::atomic<pid_t> busy = 0;
  std::thread thread([&] {
    busy = ::gettid();
    while (!done.load(std::memory_order_relaxed)) {
    }
  });
  while (busy.load() == 0) ::usleep(1000);
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

void nothing_to_wait_for(std::span<char*>) {
  (void)sealed_page();
  EXPECT(::waitpid(-1, nullptr, 0) == -1 && errno == ECHILD);
  EXPECT(::waitpid(-1, nullptr, __WALL | WNOHANG) == -1 && errno == ECHILD);
}

std::vector<std::string> open_files() {
  std::vector<std::string> files;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name[0] != '.' && std::stoi(name) != ::dirfd(directory)) files.push_back(name);
  }
  ::closedir(directory);
  return files;
}

void no_descriptor_is_left(std::span<char*>) {
  const std::vector<std::string> standard{"0", "1", "2"};
  EXPECT(open_files() == standard);
  (void)sealed_page();
  EXPECT(open_files() == standard);
}

// Started as: exec_target by exec_drops, under the same addresses, without the preload.
void exec_target(std::span<char*>) {
  EXPECT(Calls{Via::raw}.protect(own_text(), page_size(), PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
  EXPECT(Calls{Via::libc}.advise(own_text(), page_size(), MADV_DONTNEED) == 0);
}

[[noreturn]] void become(const char* scenario, bool preloaded) {
  if (!preloaded) ::unsetenv("LD_PRELOAD");
  ::execl("/proc/self/exe", "live_program", scenario, nullptr);
  ::_exit(99);
}

void exec_drops(std::span<char*> arguments) {
  if (arguments.empty()) {  // once more, without randomised addresses, so that the images fall on each other
    ::personality(ADDR_NO_RANDOMIZE);
    ::execl("/proc/self/exe", "live_program", "exec_drops", "again", nullptr);
    ::_exit(99);
  }
  expect_sealed(own_text());
  in_child([] { become("exec_target", false); });
  // With the preload the new image has seals of its own, at the very same place.
  in_child([] { become("own_text_is_sealed", true); });
  in_child([] { become("refuses_changes", true); });
}

// A sealed page that the program asked for is refused by a filter, which outlives exec: the new image must
// never get memory there.
void exec_fences(std::span<char*> arguments) {
  if (arguments.empty()) {
    char* const page = map_far_away(page_size(), PROT_READ);
    REQUIRE_OR_STOP(::mseal(page, page_size(), 0) == 0);
    const std::string where = std::to_string(reinterpret_cast<std::uintptr_t>(page));
    in_child([&] {
      ::execl("/proc/self/exe", "live_program", "exec_fences", where.c_str(), nullptr);
      ::_exit(99);
    });
    return;
  }
  auto* const where = reinterpret_cast<char*>(std::stoull(arguments[0]));
  EXPECT(Calls{Via::raw}.map(where, page_size(), PROT_READ,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE) == -EEXIST);
  for (int round = 0; round < 100; ++round) {
    const long placed = Calls{Via::raw}.map(where, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
    EXPECT(placed > 0 && Calls{Via::raw}.unmap(reinterpret_cast<void*>(placed), page_size()) == 0);
  }
}

// A chain of images, each of which seals a page, checks it and its own code, and starts the next. Filters
// pile up; no image is hurt by those of its ancestors.
void exec_chain(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const int left = std::stoi(arguments[0]);
  expect_sealed(sealed_page());
  expect_sealed(own_text());
  for (int round = 0; round < 20; ++round) {
    const long placed =
        Calls{Via::raw}.map(nullptr, 64 * page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
    EXPECT(placed > 0);
    EXPECT(Calls{Via::raw}.protect(reinterpret_cast<void*>(placed), 64 * page_size(), PROT_NONE) == 0);
    EXPECT(Calls{Via::raw}.unmap(reinterpret_cast<void*>(placed), 64 * page_size()) == 0);
  }
  if (left == 0 || g_failures != 0) return;
  ::execl("/proc/self/exe", "live_program", "exec_chain", std::to_string(left - 1).c_str(), nullptr);
  ::_exit(99);
}

// Seals by every way, hides itself, and becomes the program of the arguments.
void becomes(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  expect_sealed(sealed_page());
  char* const near =
      static_cast<char*>(::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  EXPECT(::mseal(near, page_size(), 0) == 0);
  EXPECT(::prctl(PR_SET_DUMPABLE, 0) == 0);
  std::vector<char*> command(arguments.begin(), arguments.end());
  command.push_back(nullptr);
  ::execv(command[0], command.data());
  ::_exit(99);
}

// A thousand children that do nothing: the supervisor has no part in it.
void forks_by_the_thousand(std::span<char*>) {
  for (int round = 0; round < 1000; ++round) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(round % 7);
    int status = 0;
    EXPECT(::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == round % 7);
  }
  expect_sealed(own_text());
}

// While a vfork child runs in this memory, no later filter reaches it: the seal must not pretend.
void vfork_child_prevents_sealing(std::span<char*>) {
  std::atomic<bool> go = false;
  int gate[2];
  REQUIRE_OR_STOP(::pipe(gate) == 0);
  std::thread parent([&] {
    const pid_t child = ::vfork();
    if (child == 0) {
      char byte = 0;
      go = true;
      (void)!::read(gate[0], &byte, 1);
      ::_exit(0);
    }
    (void)::waitpid(child, nullptr, 0);
  });
  while (!go.load()) ::sched_yield();
  void* const page = ::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(::mseal(page, page_size(), 0) == -1 && errno == EAGAIN);
  EXPECT(::write(gate[1], "x", 1) == 1);
  parent.join();
  EXPECT(::mseal(page, page_size(), 0) == 0);
  expect_sealed(static_cast<char*>(page));
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
  for (int round = 0; g_ticks < 300; ++round) {
    EXPECT(Calls{Via::raw}.protect(own_text(), page_size(), PROT_READ | PROT_WRITE) == -EPERM);
    EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
  }
}

// Signals to a handler that does not ask for restarts, and a supervisor that does not come at once.
class Interruptions {
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
  Interruptions(const Interruptions&) = delete;
  Interruptions& operator=(const Interruptions&) = delete;

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

// Many scattered ranges are sealed, and as many are kept free in the programs that are started from here.
void starts_behind_many_fences(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  const auto count = static_cast<std::size_t>(std::stoul(arguments[0]));
  const std::size_t page = page_size();
  char* const base = static_cast<char*>(
      ::mmap(nullptr, 2 * count * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  REQUIRE_OR_STOP(base != MAP_FAILED);
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < count; ++index) ranges.push_back({base + 2 * index * page, page});
  constexpr std::size_t kAtOnce = 1000;
  for (std::size_t first = 0; first < count; first += kAtOnce) {
    REQUIRE_OR_STOP(::mseal_ranges(ranges.data() + first, std::min(kAtOnce, count - first), 0) == 0);
  }
  for (int round = 0; round < 3; ++round) {
    in_child([&] {
      ::execl("/proc/self/exe", "live_program", "own_text_is_sealed", nullptr);
      ::_exit(99);
    });
  }
}

// What a child that becomes /bin/true says on standard error, and how it ends.
struct Start {
  std::string said;
  int status = 0;
};
Start start_true(bool past_libc) {
  std::array<int, 2> ends{};
  REQUIRE_OR_STOP(::pipe2(ends.data(), O_CLOEXEC) == 0);
  std::array<char, 10> program{"/bin/true"};
  std::array<char*, 2> arguments{program.data(), nullptr};
  pid_t child = -1;
  if (past_libc) {
    child = ::fork();
    if (child == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      ::syscall(SYS_execve, arguments[0], arguments.data(), environ);
      ::_exit(99);
    }
  } else {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    (void)::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  REQUIRE_OR_STOP(child > 0);
  ::close(ends[1]);
  Start start;
  std::array<char, 512> text{};
  for (ssize_t got = 0; (got = ::read(ends[0], text.data(), text.size())) > 0;)
    start.said.append(text.data(), static_cast<std::size_t>(got));
  ::close(ends[0]);
  REQUIRE_OR_STOP(::waitpid(child, &start.status, 0) == child);
  return start;
}

// Seals so much in so many places that one start of fifty meets one of them, and counts what became of
// the starts: by posix_spawn, or past libc.
void starts_amid_seals(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 2);
  const bool past_libc = std::string_view(arguments[0]) == "past_libc";
  const int starts = std::stoi(arguments[1]);
  constexpr std::size_t kApart = 16 << 20;
  constexpr std::size_t kAtOnce = 1000;
  constexpr std::size_t kSeals = 4 * kAtOnce;
  char* const base = static_cast<char*>(
      ::mmap(nullptr, kSeals * kApart, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  REQUIRE_OR_STOP(base != MAP_FAILED);
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < kSeals; ++index) ranges.push_back({base + index * kApart, page_size()});
  for (std::size_t first = 0; first < kSeals; first += kAtOnce)
    REQUIRE_OR_STOP(::mseal_ranges(ranges.data() + first, kAtOnce, 0) == 0);
  int without = 0;
  int failed = 0;
  for (int round = 0; round < starts; ++round) {
    const Start start = start_true(past_libc);
    const bool left_out = start.said.find("cannot be preloaded") != std::string::npos;
    without += left_out && start.status == 0 ? 1 : 0;
    failed += start.status != 0 ? 1 : 0;
  }
  std::printf("without the library %d, failed %d\n", without, failed);
}

// As V8 does, which chooses among the first 64 TiB.
void hints_stay_out_of_watched_places(std::span<char*>) {
#ifdef __x86_64__
  constexpr std::uintptr_t kWatched = 0x2AAA'AAAA'B000;
  constexpr std::uintptr_t kHint = 0x3000'0000'0000;
  for (const Via via : kBothWays) {
    const long placed =
        Calls{via}.map(reinterpret_cast<void*>(kHint), page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
    const auto at = static_cast<std::uintptr_t>(placed);
    EXPECT(placed > 0 && (via == Via::raw ? at == kHint : at < kWatched));
    EXPECT(Calls{via}.unmap(reinterpret_cast<void*>(placed), page_size()) == 0);
  }
#endif
}

// Starts the next image in a child, each time.
void fork_chain(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const int left = std::stoi(arguments[0]);
  expect_sealed(own_text());
  if (left == 0 || g_failures != 0) return;
  in_child([&] {
    ::execl("/proc/self/exe", "live_program", "fork_chain", std::to_string(left - 1).c_str(), nullptr);
    ::_exit(99);
  });
}

constexpr Scenario kScenarios[] = {
    {"fork_inherits", fork_inherits},
    {"fork_does_not_seal_the_parent", fork_does_not_seal_the_parent},
    {"seals_after_the_fork_are_not_inherited", seals_after_the_fork_are_not_inherited},
    {"threads_are_covered", threads_are_covered},
    {"seal_beats_in_flight_calls", seal_beats_in_flight_calls},
    {"busy_threads_do_not_notice", busy_threads_do_not_notice},
    {"debugged_thread_is_waited_for", debugged_thread_is_waited_for},
    {"nothing_to_wait_for", nothing_to_wait_for},
    {"no_descriptor_is_left", no_descriptor_is_left},
    {"exec_target", exec_target},
    {"exec_drops", exec_drops},
    {"exec_fences", exec_fences},
    {"starts_behind_many_fences", starts_behind_many_fences},
    {"starts_amid_seals", starts_amid_seals},
    {"exec_chain", exec_chain},
    {"fork_chain", fork_chain},
    {"hints_stay_out_of_watched_places", hints_stay_out_of_watched_places},
    {"becomes", becomes},
    {"forks_by_the_thousand", forks_by_the_thousand},
    {"vfork_child_prevents_sealing", vfork_child_prevents_sealing},
    {"signals_do_not_help", signals_do_not_help},
    {"interrupted_calls_go_on", interrupted_calls_go_on},
    {"heap_grows_under_signals", heap_grows_under_signals},
};

}  // namespace

std::span<const Scenario> process_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
