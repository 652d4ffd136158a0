// With the supervisor gone or out of the way.
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "mseal/mseal.h"
#include "policy/protocol/control.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"
#include "tests/support/maps.h"
#include "tests/support/message.h"
#include "tests/support/supervisor.h"
#include "tests/support/waiting.h"

namespace libmseal::tests {
namespace {

int g_data = 1;

char* own_data() {
  return reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(&g_data) & -page_size());
}

// By its log, whose path the test gives.
pid_t logged_supervisor(const char* log) {
  const pid_t supervisor = supervisor_of(log);
  REQUIRE_OR_STOP(supervisor != 0);
  return supervisor;
}

void dead_supervisor_fails_closed(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  char* const page = map_far_away(2 * page_size(), PROT_READ);
  REQUIRE_OR_STOP(::mseal(page, page_size(), 0) == 0);
  const std::string before = maps_of(own_text(), page_size());
  const pid_t supervisor = logged_supervisor(arguments[0]);
  REQUIRE_OR_STOP(::kill(supervisor, SIGKILL) == 0);
  // gone once a call that it decides about is not answered
  const auto delegated = [&] {
    return shim::raw_syscall(__NR_mprotect, page + page_size(), page_size(), PROT_READ | PROT_GROWSDOWN);
  };
  EXPECT(eventually([&] { return delegated() == -ENOSYS; }));
  for (const Via via : kBothWays) {
    const Calls call{via};
    // a filter needs nobody, and the program's own text is in the first
    constexpr long kText = kTextIsWatched ? -ENOSYS : -EPERM;
    EXPECT(call.unmap(own_text(), page_size()) == kText);
    EXPECT(call.protect(own_text(), page_size(), PROT_READ | PROT_WRITE) == kText);
    EXPECT(call.advise(own_text(), page_size(), MADV_DONTNEED) == kText);
    EXPECT(call.unmap(page, page_size()) == -EPERM);
    EXPECT(call.protect(page + page_size(), page_size(), PROT_READ | PROT_WRITE) == 0);
    EXPECT(delegated() == -ENOSYS);
  }
  EXPECT(maps_of(own_text(), page_size()) == before);
  // what healthy programs do goes on
  const pid_t child = ::fork();
  if (child == 0) ::_exit(5);
  EXPECT(ends_with(child, 5));
  // but nothing more is sealed
  EXPECT(::mseal(page + page_size(), page_size(), 0) == -1 && errno == EAGAIN);
  EXPECT(Calls{Via::raw}.unmap(page + page_size(), page_size()) == 0);
  // nobody may take the dead one's place
  EXPECT(::syscall(__NR_seccomp, 1UL, 8UL, nullptr) == -1 && errno == EBUSY);
}

// Neither without a message nor with one whose flags are too wide.
void raw_mseal_is_unknown(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_far_away(page, PROT_READ);
  EXPECT(shim::raw_syscall(462, base, page, 0) == -ENOSYS);
  EXPECT(shim::raw_syscall(462, base, page, 1UL << 40 | 9, policy::kControlMagic, 0, 0) == -EINVAL);
  EXPECT(Calls{Via::raw}.unmap(base, page) == 0);
}

// They add seals at most.
void forged_messages(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_far_away(4 * page, PROT_READ);
  EXPECT(Calls{Via::raw}.unmap(base, page) == 0);
  using Kind = policy::Control::Kind;
  constexpr auto kMagic = policy::kControlMagic;
  const auto say = [](Kind kind, const void* at, std::size_t size, unsigned long last = 0) {
    const long answer = tell_supervisor(
        {reinterpret_cast<std::uint64_t>(at), size, static_cast<std::uint64_t>(kind), kMagic, 0, last});
    return kind == Kind::join ? answer : policy::decode_answer(answer);
  };
  for (const std::uint64_t flags : {0UL, 13UL, 77UL})
    EXPECT(tell_supervisor({reinterpret_cast<std::uint64_t>(base), page, flags, kMagic, 0, 0}) == -EINVAL);
  EXPECT(say(Kind::add_supervised, base + 1, page) == -EINVAL);
  EXPECT(say(Kind::add_supervised, base, page, 1) == -EINVAL);
  EXPECT(say(Kind::add_supervised, base + page, page) == -EAGAIN);  // not watched
  // Nor is the last range of this message, so that no part of it counts.
  policy::Control both{Kind::add_filtered, {}};
  const auto at = [&](std::size_t number) {
    return policy::Range::of(reinterpret_cast<std::uint64_t>(base) + number * page, page);
  };
  EXPECT(policy::put_ranges(both, std::array{at(1), at(3)}) == 2);
  both.last_is_supervised = true;
  EXPECT(tell_supervisor(policy::encode(both)) == -EAGAIN);
  EXPECT(say(Kind::query, base + page, page) == 0);
  // Filters that nobody has asked for, and the end of what was not begun.
  EXPECT(say(Kind::filters_are_in, nullptr, 0) == -ESTALE);
  EXPECT(say(Kind::cancel, nullptr, 0) == 0);
  EXPECT(say(Kind::is_writable, base + page, page) == 0);
  EXPECT(say(Kind::is_writable, own_data(), page) == 1);
  EXPECT(say(Kind::seal, base, page) == -ENOMEM);
  // Ranges that nobody has sent, and one in which nothing is constant.
  EXPECT(say(Kind::seal, nullptr, 0) == -ESTALE);
  policy::Control constant{Kind::range,
                           {policy::Range::of(reinterpret_cast<std::uint64_t>(own_data()), page)}};
  constant.object_part = true;
  EXPECT(policy::decode_answer(tell_supervisor(policy::encode(constant))) == 0);
  EXPECT(say(Kind::seal, nullptr, 0) == static_cast<long>(policy::NextStep::sealed));
  // A process that asks and goes no further has sealed nothing, and keeps no other one waiting.
  EXPECT((say(Kind::seal, base + page, page) & 0xFF) == static_cast<long>(policy::NextStep::filter));
  EXPECT(Calls{Via::raw}.protect(base + page, page, PROT_NONE) == 0);
  EXPECT(say(Kind::cancel, nullptr, 0) == 0);
  EXPECT(Calls{Via::raw}.unmap(base + page, page) == 0);
  // a second hello is answered and drops nothing
  const long table = say(Kind::join, nullptr, 0);
  EXPECT(table >= 0);
  EXPECT(Calls{Via::raw}.unmap(own_text(), page) == -EPERM);
  // and the table is for reading
  EXPECT(::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(table), 0) == MAP_FAILED);
  char byte = 0;
  EXPECT(::pwrite(static_cast<int>(table), &byte, 1, 0) == -1);
  ::close(static_cast<int>(table));
}

// A stopped supervisor: calls that it decides about wait, and can be killed; none of them gets through.
void stopped_supervisor_lets_nothing_through(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const pid_t supervisor = logged_supervisor(arguments[0]);
  REQUIRE_OR_STOP(::kill(supervisor, SIGSTOP) == 0);
  const std::string before = maps_of(own_text(), page_size());
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(1);
    if (Calls{Via::raw}.unmap(own_text(), page_size()) != -EPERM) ::_exit(1);
    (void)shim::raw_syscall(__NR_mremap, own_text(), page_size(), page_size(), 3,
                            own_text() + 16 * page_size());
    ::_exit(0);
  }
  int status = 0;
  EXPECT(::waitpid(child, &status, 0) == child);
  EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
  EXPECT(::kill(supervisor, SIGCONT) == 0);
  EXPECT(Calls{Via::raw}.unmap(own_text(), page_size()) == -EPERM);
  EXPECT(maps_of(own_text(), page_size()) == before);
}

// Another process of the same user gets at neither the supervisor's memory nor its listener.
void supervisor_is_private(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty() && ::geteuid() != 0);
  const pid_t supervisor = logged_supervisor(arguments[0]);
  const std::string directory = "/proc/" + std::to_string(supervisor);
  EXPECT(::open((directory + "/mem").c_str(), O_RDWR) == -1 && errno == EACCES);
  EXPECT(::open((directory + "/maps").c_str(), O_RDONLY) == -1);
  EXPECT(::opendir((directory + "/fd").c_str()) == nullptr && errno == EACCES);
  EXPECT(::ptrace(PTRACE_SEIZE, supervisor, nullptr, nullptr) == -1 && errno == EPERM);
  const long handle = shim::raw_syscall(__NR_pidfd_open, supervisor, 0);
  REQUIRE_OR_STOP(handle >= 0);
  for (long number = 0; number < 16; ++number) {
    EXPECT(shim::raw_syscall(__NR_pidfd_getfd, handle, number, 0) == -EPERM);
  }
  ::close(static_cast<int>(handle));
}

// A process that hides itself is known by what it was: it goes on sealing.
void hidden_process_seals_on(std::span<char*>) {
  REQUIRE_OR_STOP(::geteuid() != 0);
  constexpr std::size_t kPages = 4;
  char* const page = map_far_away(kPages * page_size(), PROT_READ);
  EXPECT(::mseal(page, page_size(), 0) == 0);
  char* const below = map_far_away(5 * page_size(), PROT_READ);
  char* const closed = below + 2 * page_size();
  char* const above = below + 4 * page_size();
  EXPECT(::mseal_types(closed, page_size(), MSEAL_TYPE_BASE | MSEAL_TYPE_SEAL) == 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // If one of several ranges accepts no more types, none is sealed.
  for (char* const open : {below, above}) {
    const mseal_range both[] = {{open, page_size()}, {closed, page_size()}};
    EXPECT(::mseal_ranges(both, std::size(both), 0) == -1 && errno == EACCES);
    EXPECT(::mprotect(open, page_size(), PROT_READ | PROT_WRITE) == 0);
  }
  for (std::size_t index = 1; index < kPages; ++index)
    EXPECT(::mseal(page + index * page_size(), page_size(), 0) == 0);
  for (std::size_t index = 0; index < kPages; ++index)
    EXPECT(Calls{Via::raw}.unmap(page + index * page_size(), page_size()) == -EPERM);
  EXPECT(shim::raw_syscall(__NR_mremap, page, page_size(), page_size(), 3, page + 16 * page_size()) ==
         -EPERM);
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  EXPECT(::mseal(page + page_size(), page_size(), 0) == 0);
}

// Its threads can't be inspected then: a seal fails, and nothing is sealed.
void hidden_threads_prevent_sealing(std::span<char*>) {
  REQUIRE_OR_STOP(::geteuid() != 0);
  char* const below = map_far_away(5 * page_size(), PROT_READ);
  char* const closed = below + 2 * page_size();
  char* const above = below + 4 * page_size();
  EXPECT(::mseal_types(closed, page_size(), MSEAL_TYPE_BASE | MSEAL_TYPE_SEAL) == 0);
  std::latch tried(1);
  std::thread other([&] { tried.wait(); });
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  for (char* const open : {below, above}) {
    const mseal_range both[] = {{open, page_size()}, {closed, page_size()}};
    EXPECT(::mseal_ranges(both, std::size(both), 0) == -1 && errno == EACCES);
    EXPECT(::mseal(open, page_size(), 0) == -1 && errno == EAGAIN);
    EXPECT(::mprotect(open, page_size(), PROT_READ | PROT_WRITE) == 0);
    EXPECT(::munmap(open, page_size()) == 0);
  }
  tried.count_down();
  other.join();
}

// Filters of the program's own, on one thread: later seals could not reach it, so none is promised. On all
// threads: seals go on.
void own_filters_on_one_thread(std::span<char*>) {
  static sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  static sock_fprog program{1, allow};
  std::latch filtered(1);
  std::latch tried(1);
  std::thread other([&] {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    EXPECT(shim::raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
    filtered.count_down();
    tried.wait();
  });
  filtered.wait();
  char* const page = map_far_away(page_size(), PROT_READ);
  EXPECT(::mseal(page, page_size(), 0) == -1 && errno == EAGAIN);
  EXPECT(::mprotect(page, page_size(), PROT_READ | PROT_WRITE) == 0);  // not sealed at all
  tried.count_down();
  other.join();
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // A joined thread may still be ending, and counts until it has.
  EXPECT(eventually([&] {
    return shim::raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
  }));
  EXPECT(::mseal(page, page_size(), 0) == 0);
  EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
}

// A worker changes its user, as those of servers do, and the supervisor may not look at other users'
// processes.
void workers_of_another_user(std::span<char*>) {
  char* const before = map_far_away(page_size(), PROT_READ);
  char* const after = map_far_away(page_size(), PROT_READ);
  REQUIRE_OR_STOP(::mseal(before, page_size(), 0) == 0);
  int ends[2];
  REQUIRE_OR_STOP(::pipe(ends) == 0);
  const pid_t worker = ::fork();
  if (worker == 0) {
    char byte = 0;
    ::close(ends[1]);
    REQUIRE_OR_STOP(::setgid(65534) == 0 && ::setuid(65534) == 0);
    REQUIRE_OR_STOP(::read(ends[0], &byte, 1) == 1);
    for (const Via via : kBothWays) {
      const Calls call{via};
      EXPECT(call.unmap(before, page_size()) == -EPERM);
      EXPECT(call.advise(before, page_size(), MADV_WIPEONFORK) == -EPERM);
      // What its parent has sealed since is not sealed here; the supervisor decides.
      EXPECT(call.advise(after, page_size(), MADV_DONTFORK) == 0);
    }
    std::_Exit(g_failures == 0 ? 0 : 1);
  }
  wait_for_next_tick();  // or the worker may have been born after the seal
  REQUIRE_OR_STOP(::mseal(after, page_size(), 0) == 0);
  REQUIRE_OR_STOP(::write(ends[1], "s", 1) == 1);
  EXPECT(ends_with(worker, 0));
}

// All of them notified, one right after the other, up to the end.
void makes_many_calls(std::span<char*> /*arguments*/) {
  char* const page = map_far_away(page_size(), PROT_READ);
  for (int count = 0; count < 5000; ++count)
    EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_READ) == 0);
  ::_exit(0);
}

// In a forked process: seals while the first thread computes and ends. Then writes a byte, and waits.
[[noreturn]] void end_first_while_sealing(int computes, int told) {
  std::latch begun(1);
  std::thread([&begun, told] {
    constexpr std::size_t kSeals = 30;
    char* const base = map_far_away(2 * kSeals * page_size(), PROT_READ);
    begun.count_down();
    bool sealed = true;
    for (std::size_t index = 0; index < kSeals; ++index)
      sealed = sealed && ::mseal(base + 2 * index * page_size(), page_size(), 0) == 0;
    const char result = sealed ? 'y' : 'n';
    (void)::write(told, &result, 1);
    while (true) ::pause();
  }).detach();
  begun.wait();
  for (int step = 0; step < computes; ++step) asm volatile("");
  ::syscall(SYS_exit, 0);
  ::_exit(1);
}

long sleeps_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  const std::string key = "voluntary_ctxt_switches:";
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stol(line.substr(key.size()));
  }
  return -1;
}

// A first thread that ends before the others is reaped after them. The supervisor, attached to it, must not
// look all the time whether it can be.
void supervisor_rests_beside_ended_first_threads(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const pid_t supervisor = logged_supervisor(arguments[0]);
  constexpr int kProcesses = 60;  // without the rule, about ten of them keep it busy
  int told[2];
  REQUIRE_OR_STOP(::pipe(told) == 0);
  std::vector<pid_t> children;
  for (int index = 0; index < kProcesses; ++index) {
    const pid_t child = ::fork();
    REQUIRE_OR_STOP(child >= 0);
    if (child == 0) end_first_while_sealing(100'000 * index, told[1]);
    children.push_back(child);
    char sealed = 0;
    EXPECT(::read(told[0], &sealed, 1) == 1 && sealed == 'y');
  }
  constexpr long kMost = 60;  // in half a second; one that looks each millisecond sleeps 400 times
  bool rests = false;
  for (int look = 0; look < 10 && !rests; ++look) {
    const long before = sleeps_of(supervisor);
    ::usleep(500'000);
    rests = before >= 0 && sleeps_of(supervisor) - before < kMost;
  }
  EXPECT(rests);
  for (const pid_t child : children) {
    int status = 0;
    EXPECT(::kill(child, SIGKILL) == 0);
    EXPECT(::waitpid(child, &status, 0) == child && WIFSIGNALED(status));
  }
}

// A filter lies there: what is asked of the kernel with a null pointer would install it.
void has_page_zero(std::span<char*> /*arguments*/) {
  void* const zero =
      ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  REQUIRE_OR_STOP(zero == nullptr);
  static sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_fprog program{1, &allow};
  const auto* const bytes = reinterpret_cast<const char*>(&program);
  volatile char* at = nullptr;
  asm("" : "+r"(at));  // a null pointer that the compiler knows of would not be written through
  for (std::size_t index = 0; index < sizeof program; ++index) at[index] = bytes[index];
  char* const page = map_far_away(page_size(), PROT_READ);
  EXPECT(::mseal(page, page_size(), 0) == 0);
  EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_NONE) == -EPERM);
}

constexpr Scenario kScenarios[] = {
    {"has_page_zero", has_page_zero},
    {"makes_many_calls", makes_many_calls},
    {"supervisor_rests_beside_ended_first_threads", supervisor_rests_beside_ended_first_threads},
    {"workers_of_another_user", workers_of_another_user},
    {"stopped_supervisor_lets_nothing_through", stopped_supervisor_lets_nothing_through},
    {"hidden_process_seals_on", hidden_process_seals_on},
    {"hidden_threads_prevent_sealing", hidden_threads_prevent_sealing},
    {"supervisor_is_private", supervisor_is_private},
    {"own_filters_on_one_thread", own_filters_on_one_thread},
    {"dead_supervisor_fails_closed", dead_supervisor_fails_closed},
    {"raw_mseal_is_unknown", raw_mseal_is_unknown},
    {"forged_messages", forged_messages},
};

}  // namespace

std::span<const Scenario> supervisor_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
