// Programs that have shut themselves in before they seal.
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"
#include "tests/support/filters.h"

namespace libmseal::tests {
namespace {

// Those that sealing makes. Where a container's profile answers mseal(2), messages to the supervisor go by
// mmap.
std::vector<unsigned> calls_of_sealing() {
  std::vector<unsigned> calls{462, __NR_seccomp, __NR_brk, __NR_rt_sigprocmask, __NR_futex};
  if (std::getenv("SEALS_BY_MMAP") != nullptr) calls.push_back(__NR_mmap);
  return calls;
}

// From now on every system call ends as `otherwise` says, but `allowed` and those with which the scenarios
// look at what came of it.
void shut_in(std::uint32_t otherwise, std::vector<unsigned> allowed = calls_of_sealing()) {
  for (const unsigned number :
       {__NR_munmap, __NR_mprotect, __NR_write, __NR_exit, __NR_exit_group, __NR_rt_sigreturn, __NR_madvise})
    allowed.push_back(number);
  std::vector<sock_filter> code{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (std::size_t index = 0; index < allowed.size(); ++index) {
    const auto left = static_cast<std::uint8_t>(allowed.size() - index);
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[index], left, 0));
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, otherwise));
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  REQUIRE_OR_STOP(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE_OR_STOP(::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
}

// Executes the program again, for runs_under_filter_of_ancestor.
void execute_next(const char* outcome) {
  ::execl("/proc/self/exe", "live_program", "runs_under_filter_of_ancestor", outcome, nullptr);
  EXPECT(false);
}

void* loaded(const char* path) {
  void* const object = ::dlopen(path, RTLD_NOW);
  if (object == nullptr) std::fprintf(stderr, "%s\n", ::dlerror());
  REQUIRE_OR_STOP(object != nullptr);
  return object;
}

void seal_page(char* page) {
  EXPECT(::mseal(page, page_size(), 0) == 0);
  EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
  EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_NONE) == -EPERM);
}

// A page, several at once, errors, and again: the filter kills callers of all calls but those of shut_in().
void seals_in_a_sandbox(std::span<char*>) {
  const std::size_t page = page_size();
  char* const pages =
      static_cast<char*>(::mmap(nullptr, 16 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  shut_in(SECCOMP_RET_KILL_PROCESS);
  seal_page(pages);
  EXPECT(::mseal(pages, page, 0) == 0);
  const mseal_range batch[] = {
      {pages + 2 * page, page}, {pages + 4 * page, 2 * page}, {pages + 8 * page, page}};
  EXPECT(::mseal_ranges(batch, 3, 0) == 0);
  EXPECT(Calls{Via::raw}.unmap(pages + 4 * page, page) == -EPERM);
  EXPECT(Calls{Via::raw}.unmap(pages + 8 * page, page) == -EPERM);
  EXPECT(Calls{Via::raw}.unmap(pages + 9 * page, page) == 0);
  EXPECT(::mseal(pages + 8 * page, 4 * page, 0) == -1 && errno == ENOMEM);
  EXPECT(::mseal(pages + 1, page, 0) == -1 && errno == EINVAL);
  EXPECT(::mseal_query(pages, 2 * page) == MSEAL_STATE_PARTLY);
  EXPECT(::mimmutable(pages + 12 * page, page) == 0);
  EXPECT(Calls{Via::raw}.unmap(pages + 12 * page, page) == -EPERM);
  ::_exit(g_failures);
}

std::atomic<int> g_trapped = 0;

void note_trap(int) {
  ++g_trapped;
}

// The same where a handler answers for what the sandbox traps, as those of browsers do.
void seals_under_a_broker(std::span<char*>) {
  char* const page = readable_page();
  struct sigaction action {};
  action.sa_handler = note_trap;
  REQUIRE_OR_STOP(::sigaction(SIGSYS, &action, nullptr) == 0);
  shut_in(SECCOMP_RET_TRAP);
  seal_page(page);
  EXPECT(g_trapped == 0);
  (void)::getppid();
  EXPECT(g_trapped == 1);
  ::_exit(g_failures);
}

// With threads that run, which have to be stopped: not by this program.
void seals_in_a_sandbox_with_threads(std::span<char*>) {
  char* const page = readable_page();
  std::atomic<bool> done = false;
  std::latch started(4);
  std::vector<std::thread> threads;
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&] {
      started.count_down();
      while (!done.load(std::memory_order_relaxed)) {
      }
    });
  }
  started.wait();
  shut_in(SECCOMP_RET_KILL_PROCESS);
  seal_page(page);
  ::_exit(g_failures);
}

// What the program's own filter pretends to have done is not taken for done.
void seals_nothing_by_pretence(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  char* const page = map_far_away(page_size(), PROT_READ);
  (void)answer_with(std::atoi(arguments[0]), SECCOMP_RET_ERRNO | 0, SECCOMP_FILTER_FLAG_TSYNC);
  const bool sealed = ::mseal(page, page_size(), 0) == 0;
  EXPECT(sealed || errno == EAGAIN);
  EXPECT(Calls{Via::raw}.unmap(page, page_size()) == (sealed ? -EPERM : 0));
}

// A filter of the program may answer EINTR for ever.
void answered_eintr(std::span<char*>) {
  char* const page = map_far_away(page_size(), PROT_READ);
  (void)answer_with(__NR_munmap, SECCOMP_RET_ERRNO | EINTR);
  (void)answer_with(462, SECCOMP_RET_ERRNO | EINTR);
  EXPECT(::munmap(page, page_size()) == -1 && errno == EINTR);
  const bool sealed = ::mseal(page, page_size(), 0) == 0;  // without a supervisor, nothing of this is asked
  EXPECT(sealed || errno == EAGAIN);
}

// An object that was loaded before the sandbox, and is found by the first dlsym in it.
void late_object_in_a_sandbox(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  void* const object = loaded(arguments[0]);
  shut_in(SECCOMP_RET_KILL_PROCESS);
  auto* const answer = reinterpret_cast<char*>(::dlsym(object, "answer"));
  EXPECT(answer != nullptr);
  char* const text = answer - reinterpret_cast<std::uintptr_t>(answer) % page_size();
  EXPECT(Calls{Via::raw}.protect(text, page_size(), PROT_READ | PROT_EXEC) == -EPERM);
  ::_exit(g_failures);
}

// A filter of the program that kills callers of mseal(2). Messages to the supervisor are sent by mmap then.
void own_filter_kills_for_mseal(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 2);
  void* const object = loaded(arguments[0]);
  char* const pages = map_far_away(8 * page_size(), PROT_READ);
  const std::string_view installed_by = arguments[1];
  auto code = filter_for(462, SECCOMP_RET_KILL_PROCESS);
  const sock_fprog program{code.size(), code.data()};
  REQUIRE_OR_STOP(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE_OR_STOP(installed_by == "prctl"
                      ? ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0
                      : ::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
  seal_page(pages);
  EXPECT(::munmap(pages, page_size()) == -1 && errno == EPERM);  // with events=, this is reported
  const mseal_range batch[] = {{pages + 2 * page_size(), page_size()},
                               {pages + 4 * page_size(), page_size()}};
  EXPECT(::mseal_ranges(batch, 2, 0) == 0);
  EXPECT(::mseal_query(pages, 2 * page_size()) == MSEAL_STATE_PARTLY);
  EXPECT(::dlsym(object, "answer") != nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    seal_page(pages + 6 * page_size());
    ::_exit(g_failures);
  }
  EXPECT(ends_with(child, 0));
}

// One that kills callers of all calls that sealing makes: nothing can be sealed any more, and nothing is
// tried.
void own_filter_kills_for_all(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  void* const object = loaded(arguments[0]);
  char* const page = readable_page();
  char* const other = readable_page();
  EXPECT(::mseal(page, page_size(), 0) == 0);
  shut_in(SECCOMP_RET_KILL_PROCESS, {});
  EXPECT(::mseal(other, page_size(), 0) == -1 && errno == EAGAIN);
  EXPECT(::mseal_loaded(0) == -1 && errno == EAGAIN);
  const mseal_range batch[] = {{other, page_size()}};
  EXPECT(::mseal_ranges(batch, 1, 0) == -1 && errno == EAGAIN);
  EXPECT(::dlsym(object, "answer") != nullptr);
  EXPECT(::munmap(page, page_size()) == -1 && errno == EPERM);
  EXPECT(::munmap(other, page_size()) == 0);
  ::_exit(g_failures);
}

// The next program knows which calls it must not make under the filters of this one.
void executes_under_own_filter(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 2);
  const std::string_view kind = arguments[0];
  if (kind == "mseal" || kind == "mseal, then kcmp") (void)answer_with(462, SECCOMP_RET_KILL_PROCESS);
  if (kind == "mseal, then kcmp") (void)answer_with(__NR_kcmp, SECCOMP_RET_KILL_PROCESS);
  if (kind == "mseal, by a trap") (void)answer_with(462, SECCOMP_RET_TRAP);
  if (kind == "socketpair") (void)answer_with(__NR_socketpair, SECCOMP_RET_KILL_PROCESS);
  if (kind == "ptrace") (void)answer_with(__NR_ptrace, SECCOMP_RET_KILL_PROCESS);
  if (kind == "seccomp") (void)answer_with(__NR_seccomp, SECCOMP_RET_KILL_PROCESS);
  if (kind == "all else") {  // than what every program needs
    shut_in(SECCOMP_RET_KILL_PROCESS, {
                                          __NR_execve,
                                          __NR_openat,
                                          __NR_read,
                                          __NR_pread64,
                                          __NR_newfstatat,
                                          __NR_close,
                                          __NR_mmap,
                                          __NR_brk,
                                          __NR_set_tid_address,
                                          __NR_set_robust_list,
                                          __NR_rseq,
                                          __NR_prlimit64,
                                          __NR_getrandom,
                                          __NR_futex,
                                          __NR_fstat,
#ifdef __x86_64__
                                          __NR_access,
                                          __NR_arch_prctl,
#else
                                          __NR_faccessat,
#endif
                                      });
  }
  execute_next(arguments[1]);
}

// A program that nothing is sealed in does the same, so that the next one is the first of a tree.
void starts_tree_under_own_filter(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 2);
  for (const int number : {__NR_ptrace, __NR_setpriority, __NR_kcmp})
    (void)answer_with(number, SECCOMP_RET_KILL_PROCESS);
  ::setenv("MSEAL_OPTIONS", arguments[0], 1);
  ::execl(arguments[1], arguments[1], nullptr);
  EXPECT(false);
}

void runs_under_filter_of_ancestor(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  char* const page = readable_page();
  const std::string_view outcome = arguments[0];
  if (outcome == "sealed" || outcome == "at start" || outcome == "hardened")
    EXPECT(Calls{Via::raw}.protect(own_text(), page_size(), PROT_READ | PROT_EXEC) == -EPERM);
  if (outcome == "hardened")
    EXPECT(shim::raw_syscall(__NR_ptrace, PTRACE_SEIZE, ::getppid(), 0, 0) == -EPERM);
  if (outcome == "sealed" || outcome == "hardened") {
    seal_page(page);
  } else if (outcome == "by libc") {
    EXPECT(::mseal(page, page_size(), 0) == 0);
    EXPECT(::munmap(page, page_size()) == -1 && errno == EPERM);
  } else {
    EXPECT(::mseal(page, page_size(), 0) == -1 && errno == EAGAIN);
    EXPECT(::munmap(page, page_size()) == 0);
  }
  ::_exit(g_failures);
}

// Several filters, each of which kills callers of something else. The library looks at each.
void sandbox_in_stages(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  void* const object = loaded(arguments[0]);
  char* const page = readable_page();
  for (const int number : {__NR_process_vm_readv, __NR_openat, __NR_ptrace, 462, __NR_rt_sigprocmask})
    (void)answer_with(number, SECCOMP_RET_KILL_PROCESS);
  EXPECT(::mseal(page, page_size(), 0) == -1 && errno == EAGAIN);
  EXPECT(::dlsym(object, "answer") != nullptr);
  ::_exit(g_failures);
}

// A filter that lets mmap and openat pass only with usual arguments, as sandboxes do, and another one after
// it.
void own_filter_checks_arguments(std::span<char*>) {
  char* const page = readable_page();
  const auto only = [](int number, int argument, std::uint32_t allowed) {
    const auto at =
        static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8 * static_cast<std::size_t>(argument));
    sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 3),
                          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
                          BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, ~allowed, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{6, code};
    REQUIRE_OR_STOP(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
  };
  REQUIRE_OR_STOP(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  only(__NR_mmap, 2, PROT_READ | PROT_WRITE | PROT_EXEC);
  only(__NR_mmap, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_DENYWRITE | MAP_STACK | MAP_SHARED);
  only(__NR_openat, 2, O_CLOEXEC);
  seal_page(page);
  execute_next("unsealed");
}

// A filter that asks a listener about seccomp(2): nobody answers before the program has the descriptor.
void own_filter_notifies_of_seccomp(std::span<char*>) {
  const int listener = answer_with(__NR_seccomp, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  EXPECT(listener >= 0);
}

// A filter that answers the call by which the library looks at a filter: bad pointers stay what they are.
void own_filter_answers_sigprocmask(std::span<char*>) {
  (void)answer_with(__NR_rt_sigprocmask, SECCOMP_RET_ERRNO | EPERM);
  EXPECT(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, reinterpret_cast<void*>(16)) == -1 && errno == EFAULT);
}

// Without a handler, a trap ends the program.
void own_filter_traps(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  void* const object = loaded(arguments[0]);
  char* const page = readable_page();
  (void)answer_with(462, SECCOMP_RET_TRAP);
  seal_page(page);  // messages are sent by mmap then
  EXPECT(::dlsym(object, "answer") != nullptr);
}

// A filter of one thread, and no_new_privs, stay with that thread.
void own_filter_of_one_thread(std::span<char*>) {
  std::thread([] {
    (void)answer_with(__NR_getppid, SECCOMP_RET_ERRNO | ENOTSUP);
    (void)answer_with(__NR_ptrace, SECCOMP_RET_KILL_PROCESS);
    EXPECT(::syscall(__NR_getppid) == -1 && errno == ENOTSUP);
  }).join();
  EXPECT(::getppid() > 0);
}

// What is no filter changes nothing, and neither does one that may not be installed.
void filters_that_are_refused(std::span<char*>) {
  char* const page = map_far_away(page_size(), PROT_READ);
  char* const other = map_far_away(page_size(), PROT_READ);
  sock_filter kill[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  sock_filter open_end[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
  const sock_fprog none{0, nullptr};
  const sock_fprog nowhere{4, reinterpret_cast<sock_filter*>(0x1000)};
  const sock_fprog endless{1, open_end};
  const sock_fprog all{1, kill};
  for (const void* const program : {static_cast<const void*>(nullptr), static_cast<const void*>(&none),
                                    static_cast<const void*>(&nowhere), static_cast<const void*>(&endless),
                                    reinterpret_cast<const void*>(-1L)}) {
    EXPECT(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) == -1);
    EXPECT(::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) == -1);
  }
  EXPECT(::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 1U << 31, &all) == -1 && errno == EINVAL);
  EXPECT(::mseal(page, page_size(), 0) == 0);
  EXPECT(::mseal(other, page_size(), 0) == 0);
  execute_next("sealed");
}

// What a child in the same memory installs is not the program's.
void filter_of_vfork_child(std::span<char*>) {
  char* const page = readable_page();
  const pid_t child = ::vfork();
  if (child == 0) {
    (void)answer_with(462, SECCOMP_RET_KILL_PROCESS);
    (void)answer_with(__NR_seccomp, SECCOMP_RET_KILL_PROCESS);
    ::_exit(0);
  }
  int status = 0;
  EXPECT(::waitpid(child, &status, 0) == child && WIFEXITED(status));
  seal_page(page);
}

// No descriptor is left to the program.
void seals_without_descriptors(std::span<char*>) {
  char* const page = readable_page();
  const rlimit none{0, 0};
  REQUIRE_OR_STOP(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  seal_page(page);
}

// What harden=ptrace makes of a call that has nothing to trace.
long answer_of_ptrace() {
  return shim::raw_syscall(__NR_ptrace, PTRACE_CONT, ::getpid(), 0, 0);
}
void is_hardened(std::span<char*> /*arguments*/) {
  EXPECT(answer_of_ptrace() == -EPERM);
}
void is_not_hardened(std::span<char*> /*arguments*/) {
  EXPECT(answer_of_ptrace() == -ESRCH);
}

constexpr Scenario kScenarios[] = {
    {"is_hardened", is_hardened},
    {"is_not_hardened", is_not_hardened},
    {"seals_in_a_sandbox", seals_in_a_sandbox},
    {"seals_under_a_broker", seals_under_a_broker},
    {"seals_in_a_sandbox_with_threads", seals_in_a_sandbox_with_threads},
    {"late_object_in_a_sandbox", late_object_in_a_sandbox},
    {"own_filter_kills_for_mseal", own_filter_kills_for_mseal},
    {"own_filter_kills_for_all", own_filter_kills_for_all},
    {"executes_under_own_filter", executes_under_own_filter},
    {"starts_tree_under_own_filter", starts_tree_under_own_filter},
    {"runs_under_filter_of_ancestor", runs_under_filter_of_ancestor},
    {"sandbox_in_stages", sandbox_in_stages},
    {"own_filter_traps", own_filter_traps},
    {"own_filter_checks_arguments", own_filter_checks_arguments},
    {"own_filter_notifies_of_seccomp", own_filter_notifies_of_seccomp},
    {"own_filter_answers_sigprocmask", own_filter_answers_sigprocmask},
    {"own_filter_of_one_thread", own_filter_of_one_thread},
    {"filters_that_are_refused", filters_that_are_refused},
    {"filter_of_vfork_child", filter_of_vfork_child},
    {"seals_without_descriptors", seals_without_descriptors},
    {"answered_eintr", answered_eintr},
    {"seals_nothing_by_pretence", seals_nothing_by_pretence},
};

}  // namespace

std::span<const Scenario> sandbox_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
