#include "shim/preload/state/own_filters.h"

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <span>

#include "policy/bpf/evaluator.h"
#include "policy/protocol/control.h"
#include "shim/common/killed_calls.h"
#include "shim/common/machine.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/state/lock.h"

namespace libmseal::shim {

namespace {

using policy::Arguments;

constinit std::atomic<std::uint16_t> g_killed = 0;  // Work bits
constinit std::atomic<std::uint16_t> g_marked = 0;  // the same for programs that are executed

struct UsedCall {
  Work work;
  std::uint32_t number;
  Arguments arguments{};
};

constexpr UsedCall kUsedCalls[] = {
    {Work::locking, __NR_rt_sigprocmask, {SIG_SETMASK}},
    {Work::locking, __NR_futex, {0, FUTEX_WAIT_PRIVATE}},
    {Work::filtering, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC}},
    {Work::filtering, __NR_brk},
    {Work::reading, __NR_openat},
    {Work::reading, __NR_openat2},
    {Work::reading, __NR_read},
    {Work::reading, __NR_close},
    {Work::reading, __NR_fstatfs},
    {Work::reading, __NR_readlinkat},
    {Work::reading, __NR_getpid},
    {Work::reading, __NR_gettid},
    {Work::searching, __NR_getdents64},
    {Work::searching, __NR_kcmp},
    {Work::searching, __NR_kill},
    {Work::searching, __NR_clone},
    {Work::searching, __NR_exit_group},
    {Work::searching, __NR_wait4},
    {Work::searching, __NR_ptrace},
    {Work::searching, __NR_mmap},
    {Work::searching, __NR_munmap},
    {Work::searching, __NR_clock_gettime},
    {Work::searching, __NR_nanosleep},
    {Work::searching, __NR_prlimit64},  // for a message
    {Work::joining, __NR_madvise, {0, 0, MADV_WIPEONFORK}},
    {Work::joining, __NR_prctl, {PR_GET_SECCOMP}},
    {Work::joining, __NR_faccessat},
    {Work::joining, __NR_pread64},
    {Work::joining, __NR_getrandom},
    {Work::joining, __NR_getppid},
    {Work::joining, __NR_uname},
    {Work::launching, __NR_prctl, {PR_SET_NO_NEW_PRIVS, 1}},
    {Work::launching, __NR_mremap},
    {Work::launching, __NR_clone},
    {Work::launching, __NR_exit_group},
    {Work::launching, __NR_wait4},
    {Work::launching, __NR_socketpair},
    {Work::launching, __NR_fcntl},
    {Work::launching, __NR_setsid},
    {Work::launching, __NR_dup3},
    {Work::launching, __NR_close_range},
    {Work::launching, __NR_execve},
    {Work::launching, __NR_ppoll},
    {Work::launching, __NR_sendto},
    {Work::launching, __NR_sendmsg},
    {Work::launching, __NR_recvmsg},
    {Work::reporting, __NR_clock_gettime},
    {Work::writing, __NR_write, {2}},
    {Work::exec_layout, __NR_personality, {0xFFFFFFFF}},
#ifdef __x86_64__
    {Work::joining, __NR_arch_prctl, {policy::kArchGetUntagMask}},
#endif
};

// The mark: an mmap of no bytes, for which the kernel answers EINVAL, with a senseless protection. The answer
// is kMarked and the Work bits, as an errno.
constexpr std::uint32_t kMarkProtection = 0x6D61'726B;
constexpr std::uint16_t kMarked = 0x800;
constexpr std::uint16_t kAllWork = 0x7FF;

// A trap ends a program that has no handler for it: execve resets handlers.
enum class Traps : std::uint8_t { handled, kill };

bool kills(std::span<const sock_filter> program, Traps traps, std::uint32_t number,
           const Arguments& arguments) {
  const std::uint32_t arch = this_machine().abis[0].audit_arch;
  seccomp_data data{static_cast<int>(number), arch, 0, {}};
  for (std::size_t index = 0; index < arguments.size(); ++index) data.args[index] = arguments[index];
  const std::uint32_t action = policy::evaluate(program, data) & SECCOMP_RET_ACTION_FULL;
  if (action == SECCOMP_RET_TRAP) return traps == Traps::kill;
  return action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD;
}

std::uint16_t work_killed_by(std::span<const sock_filter> program, Traps traps) {
  std::uint16_t killed = 0;
  const auto look = [&](Work work, std::uint32_t number, const Arguments& arguments) {
    if (kills(program, traps, number, arguments)) killed |= static_cast<std::uint16_t>(work);
  };
  for (const UsedCall& one : kUsedCalls) look(one.work, one.number, one.arguments);
  const Arguments message = policy::encode({policy::Control::Kind::query, {{0, 1U << 16}}});
  look(Work::message, policy::kMsealNumber, message);
  look(Work::wrapped_message, __NR_mmap, policy::wrap_in_mmap(message));
  return killed;
}

void set_killed(std::uint16_t killed) {
  g_killed = killed;
  g_killed_calls.kcmp = g_killed_calls.kcmp || own_filters_kill(Work::searching);
  restrict_messages(own_filters_kill(Work::writing), own_filters_kill(Work::reading));
}

// Work bits; 0 if there is no mark.
std::uint16_t read_mark() {
  const long answer = raw_syscall(__NR_mmap, 0, 0, kMarkProtection, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0);
  return answer <= -kMarked && answer >= -(kMarked | kAllWork)
             ? static_cast<std::uint16_t>(-answer & kAllWork)
             : std::uint16_t{0};
}

// Without no_new_privs it can't be installed, and is not: that would change the programs that are executed.
void install_mark(std::uint16_t killed) {
  constexpr unsigned kSpecAllow = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  std::array<sock_filter, 10> mark{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, this_machine().abis[0].audit_arch, 0, 7),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMarkProtection, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | kMarked | killed),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(mark.size()), mark.data()};
  // In all threads, or the library's later filters would find threads with filters of their own.
  (void)raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | kSpecAllow, &program);
}

// Whether the kernel can read it. The program may ask with a bad pointer whether the kernel has filters.
bool is_readable(const void* start, std::size_t size) {
  const auto* at = static_cast<const char*>(start);
  char piece[1024];
  for (std::size_t left = size; left != 0;) {
    const std::size_t taken = std::min(left, sizeof piece);
    const iovec into{piece, taken};
    const iovec from{const_cast<char*>(at), taken};
    if (raw_syscall(__NR_process_vm_readv, raw_syscall(__NR_getpid), &into, 1, &from, 1, 0) !=
        static_cast<long>(taken))
      return false;
    at += taken;
    left -= taken;
  }
  return true;
}

// The filter that the call installs if it succeeds; null if it installs none.
const sock_fprog* filter_of(long number, const Arguments& arguments) {
  const bool by_prctl = number == __NR_prctl && static_cast<int>(arguments[0]) == PR_SET_SECCOMP &&
                        arguments[1] == SECCOMP_MODE_FILTER;
  const bool by_seccomp =
      number == __NR_seccomp && static_cast<std::uint32_t>(arguments[0]) == SECCOMP_SET_MODE_FILTER;
  return by_prctl || by_seccomp ? reinterpret_cast<const sock_fprog*>(arguments[2]) : nullptr;
}

}  // namespace

bool own_filters_kill(Work work) {
  return (g_killed.load(std::memory_order_relaxed) & static_cast<std::uint16_t>(work)) != 0;
}

bool own_filters_bar_sealing(const State& state) {
  using policy::Backend;
  if (own_filters_kill(Work::locking)) return true;
  const bool filtering = own_filters_kill(Work::filtering);
  switch (state.backend) {
    case Backend::kernel:
      return own_filters_kill(Work::message);
    case Backend::supervised:
      return own_filters_bar_messages() || (filtering && !state.tree_options.covers_all);
    case Backend::filters:
      return filtering || own_filters_bar_looking();
    case Backend::libc:
      return own_filters_kill(Work::reading);
    case Backend::automatic:
      break;
  }
  return own_filters_kill(Work::message) || filtering || own_filters_kill(Work::launching) ||
         own_filters_bar_start() || own_filters_bar_looking();
}

void look_for_own_filters() {
  g_marked = read_mark();
  if (g_marked != 0) set_killed(g_marked);
}

long call_that_may_filter(long number, const Arguments& a) {
  const sock_fprog* const filter = filter_of(number, a);
  // A child that shares this memory (vfork) is not this process.
  const bool is_seen = filter != nullptr && !own_filters_kill(Work::reading) &&
                       is_process_of_memory(raw_syscall(__NR_getpid)) &&
                       is_readable(filter, sizeof *filter) &&
                       is_readable(filter->filter, filter->len * sizeof(sock_filter));
  if (!is_seen) return raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  const std::span<const sock_filter> program(filter->filter, filter->len);
  const std::uint16_t before = g_killed;
  const auto killed = static_cast<std::uint16_t>(before | work_killed_by(program, Traps::handled));
  const auto marked = static_cast<std::uint16_t>(g_marked | work_killed_by(program, Traps::kill));
  // Before, because the filter may kill for seccomp(2). Other threads of the library have to know by then,
  // too.
  if (marked != g_marked && !own_filters_kill(Work::filtering)) install_mark(marked);
  g_marked = marked;
  set_killed(killed);
  const long result = raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  // A positive result is the ID of a thread that prevents the installation, unless a listener was asked for.
  const bool wants_listener = number == __NR_seccomp && (a[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
  if (failed(result) || (result > 0 && !wants_listener)) set_killed(before);
  return result;
}

}  // namespace libmseal::shim
