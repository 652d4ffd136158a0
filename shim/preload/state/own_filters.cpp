#include "shim/preload/state/own_filters.h"

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
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
    {Work::reading, __NR_fstat},
    {Work::reading, __NR_fstatfs},
    {Work::reading, __NR_readlinkat},
    {Work::reading, __NR_getpid},
    {Work::reading, __NR_gettid},
    {Work::searching, __NR_getdents64},
    {Work::searching, __NR_kcmp},
    {Work::searching, __NR_kill},
    {Work::searching, __NR_rt_sigaction, {SIGSYS}},
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
    {Work::launching, __NR_prctl, {PR_GET_CHILD_SUBREAPER}},
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
    {Work::hardening, __NR_ptrace, {PTRACE_SETOPTIONS}},
    {Work::hardening, __NR_process_vm_writev},
    {Work::hardening, __NR_ioctl, {~0ULL, policy::kNewUserfault}},
    {Work::hardening, __NR_landlock_create_ruleset},
    {Work::hardening, __NR_landlock_add_rule},
    {Work::hardening, __NR_landlock_restrict_self},
    {Work::hardening, __NR_prctl, {PR_GET_DUMPABLE}},
    {Work::extras, __NR_clock_gettime},
    {Work::writing, __NR_write, {2}},
    {Work::extras, __NR_personality, {0xFFFFFFFF}},
#ifdef __x86_64__
    {Work::joining, __NR_arch_prctl, {policy::kArchGetUntagMask}},
#endif
};

// The mark: an mmap of no bytes, for which the kernel answers EINVAL, with a senseless protection. The answer
// is kMarked and the Work bits, as an errno.
constexpr std::uint32_t kMarkProtection = 0x6D61'726B;
constexpr std::uint16_t kMarked = 0x800;
constexpr std::uint16_t kAllWork = 0x7FF;

enum class Traps : std::uint8_t { handled, kill };

bool kills(std::span<const sock_filter> program, Traps traps, std::uint32_t number,
           const Arguments& arguments) {
  const std::uint32_t arch = this_machine().abis[0].audit_arch;
  seccomp_data data{static_cast<int>(number), arch, 0, {}};
  for (std::size_t index = 0; index < arguments.size(); ++index) data.args[index] = arguments[index];
  switch (policy::evaluate(program, data) & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_USER_NOTIF:
      return false;
    case SECCOMP_RET_TRAP:
      return traps == Traps::kill;
    default:
      return true;
  }
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

void note_killed(std::uint16_t killed) {
  if (killed == 0) return;
  g_killed.fetch_or(killed);
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
// In the threads in which the program installs its filter: others keep theirs.
void install_mark(std::uint16_t killed, bool in_all_threads) {
  const unsigned flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW | (in_all_threads ? SECCOMP_FILTER_FLAG_TSYNC : 0U);
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
  (void)raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

// Whether the kernel can read the memory, of 8 bytes or more. The program may give a bad pointer to find out
// whether the kernel has filters.
bool is_readable(const void* start, std::size_t size) {
  constexpr std::uintptr_t kStep = 4096;
  const auto first = reinterpret_cast<std::uintptr_t>(start);
  const std::uintptr_t last = first + size - sizeof(std::uint64_t);
  // The kernel reads the mask before it refuses -1 (kernel/signal.c, rt_sigprocmask).
  const auto can_read = [](std::uintptr_t at) {
    return raw_syscall(__NR_rt_sigprocmask, -1, at, nullptr, sizeof(std::uint64_t)) != -EFAULT;
  };
  for (std::uintptr_t at = first; at < last; at = (at / kStep + 1) * kStep) {
    if (!can_read(at)) return false;
  }
  return can_read(last);
}

bool has_handler_of_traps() {
  if (own_filters_kill(Work::searching)) return false;
  std::array<std::uintptr_t, 8> action{};  // the kernel's struct begins with the handler
  const long asked = raw_syscall(__NR_rt_sigaction, SIGSYS, nullptr, action.data(), sizeof(std::uint64_t));
  const auto handler = reinterpret_cast<std::uintptr_t>(SIG_DFL);
  return asked == 0 && action[0] != handler && action[0] != reinterpret_cast<std::uintptr_t>(SIG_IGN);
}

// Work bits: what a filter kills for in this program, and in those that are executed. execve resets handlers,
// so a trap ends these.
struct Effect {
  std::uint16_t here = 0;
  std::uint16_t later = 0;
};

// Nothing if the kernel will not take it.
Effect effect_of(const sock_fprog* filter) {
  if (filter == nullptr) return {};
  if (own_filters_kill(Work::locking)) return {kAllWork, kAllWork};  // it can't be looked at
  if (!is_readable(filter, sizeof *filter) || filter->len == 0 ||
      !is_readable(filter->filter, filter->len * sizeof(sock_filter)))
    return {};
  const std::span<const sock_filter> program(filter->filter, filter->len);
  if (!policy::is_program(program)) return {};
  const std::uint16_t later = work_killed_by(program, Traps::kill);
  return {has_handler_of_traps() ? work_killed_by(program, Traps::handled) : later, later};
}

bool sets_mode(long number, const Arguments& arguments, std::uint32_t by_prctl, std::uint32_t by_seccomp) {
  if (number == __NR_prctl)
    return static_cast<int>(arguments[0]) == PR_SET_SECCOMP && arguments[1] == by_prctl;
  return number == __NR_seccomp && static_cast<std::uint32_t>(arguments[0]) == by_seccomp;
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
  note_killed(read_mark());
}

long call_that_may_filter(long number, const Arguments& a) {
  const auto call = [&] { return raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]); };
  const bool is_strict = sets_mode(number, a, SECCOMP_MODE_STRICT, SECCOMP_SET_MODE_STRICT);
  if (!is_strict && !sets_mode(number, a, SECCOMP_MODE_FILTER, SECCOMP_SET_MODE_FILTER)) return call();
  // A child that shares this memory (vfork) is not this process.
  const bool is_own = own_filters_kill(Work::reading) || is_process_of_memory(raw_syscall(__NR_getpid));
  if (!is_own) return call();
  const Effect effect =
      is_strict ? Effect{kAllWork, 0} : effect_of(reinterpret_cast<const sock_fprog*>(a[2]));
  const std::uint16_t marked = read_mark();
  const auto mark = static_cast<std::uint16_t>(marked | effect.later);
  const bool marks = mark != marked && !own_filters_kill(Work::filtering);
  const bool must_mark_before = (effect.later & static_cast<std::uint16_t>(Work::filtering)) != 0;
  const unsigned long flags = number == __NR_seccomp ? a[1] : 0;
  const bool in_all_threads = (flags & SECCOMP_FILTER_FLAG_TSYNC) != 0;
  // Not if the kernel refuses these flags: it checks them before it reads the filter.
  if (marks && must_mark_before &&
      raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, kNowhere) == -EFAULT)
    install_mark(mark, in_all_threads);
  const long result = call();
  // A positive result is the ID of a thread that prevents the installation, unless a listener was asked for.
  const bool installed = result == 0 || (result > 0 && (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0);
  if (!installed) return result;
  note_killed(effect.here);
  if (marks && !must_mark_before) install_mark(mark, in_all_threads);
  return result;
}

}  // namespace libmseal::shim
