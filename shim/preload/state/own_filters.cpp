#include "shim/preload/state/own_filters.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>

#include "policy/bpf/call_fields.h"
#include "policy/bpf/evaluator.h"
#include "policy/protocol/control.h"
#include "shim/common/killed_calls.h"
#include "shim/common/machine.h"
#include "shim/common/seccomp_flags.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/state/lock.h"

namespace libmseal::shim {

namespace {

using policy::Arguments;

constinit std::atomic<std::uint16_t> g_killed = 0;  // Work bits
constinit std::atomic<std::uint16_t> g_marked = 0;  // of the marks that all threads have

struct UsedCall {
  Work work;
  std::uint32_t number;
  Arguments arguments{};
};

// With the arguments that a filter may look at.
constexpr std::uint64_t kLarge = 8ULL << 30;
constexpr std::uint64_t kFilterFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
constexpr std::uint64_t kReserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

constexpr UsedCall kUsedCalls[] = {
    {Work::locking, __NR_rt_sigprocmask, {SIG_SETMASK}},
    {Work::locking, __NR_futex, {0, FUTEX_WAIT_PRIVATE}},
    {Work::locking, __NR_futex, {0, FUTEX_WAKE_PRIVATE, 1}},
    {Work::filtering, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, kFilterFlags}},
    {Work::filtering, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, kFilterFlags | kTsyncEsrch}},
    {Work::filtering, __NR_brk},
    {Work::reading, __NR_openat, {0, 0, O_RDONLY | O_CLOEXEC}},
    {Work::reading, __NR_openat, {0, 0, O_RDONLY | O_CLOEXEC | O_PATH | O_DIRECTORY}},
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
    {Work::searching, __NR_clone},
    {Work::searching, __NR_exit_group},
    {Work::searching, __NR_wait4},
    {Work::searching, __NR_ptrace},
    {Work::searching, __NR_mmap, {0, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS}},
    {Work::searching, __NR_munmap, {0, 1}},
    {Work::searching, __NR_clock_gettime},
    {Work::searching, __NR_nanosleep},
    {Work::searching, __NR_prlimit64, {0, RLIMIT_AS}},  // for a message
    {Work::joining, __NR_madvise, {0, 0, MADV_WIPEONFORK}},
    {Work::joining, __NR_mmap, {0, 1, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE}},
    {Work::joining, __NR_mmap, {0, 1, PROT_NONE, kReserved | MAP_FIXED_NOREPLACE}},
    {Work::joining, __NR_mmap, {0, kLarge, PROT_NONE, kReserved}},
    {Work::joining, __NR_munmap, {0, kLarge}},
    {Work::joining, __NR_prctl, {PR_GET_SECCOMP}},
    {Work::joining, __NR_faccessat},
    {Work::joining, __NR_pread64},
    {Work::joining, __NR_getrandom},
    {Work::joining, __NR_getppid},
    {Work::joining, __NR_uname},
    {Work::launching,
     __NR_seccomp,
     {SECCOMP_SET_MODE_FILTER, kFilterFlags | SECCOMP_FILTER_FLAG_NEW_LISTENER}},
    {Work::launching, __NR_prctl, {PR_SET_NO_NEW_PRIVS, 1}},
    {Work::launching, __NR_prctl, {PR_GET_CHILD_SUBREAPER}},
    {Work::launching, __NR_mremap},
    {Work::launching, __NR_clone},
    {Work::launching, __NR_exit_group},
    {Work::launching, __NR_wait4},
    {Work::launching, __NR_kill},
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
    // Calls of the supervisor, which inherits the filter. It works without kcmp, ptrace and setpriority.
    {Work::launching, __NR_chdir},
    {Work::launching, __NR_clock_gettime},
    {Work::launching, __NR_fstat},
    {Work::launching, __NR_ftruncate},
    {Work::launching, __NR_getdents64},
    {Work::launching, __NR_geteuid},
    {Work::launching, __NR_getresuid},
    {Work::launching, __NR_getsockopt},
    {Work::launching, __NR_ioctl, {0, SECCOMP_IOCTL_NOTIF_RECV}},
    {Work::launching, __NR_lseek},
    {Work::launching, __NR_memfd_create, {0, MFD_CLOEXEC | MFD_ALLOW_SEALING}},
    {Work::launching, __NR_mprotect},
    {Work::launching, __NR_munmap},
    {Work::launching, __NR_nanosleep},
    {Work::launching, __NR_newfstatat},
    {Work::launching, __NR_prlimit64, {0, RLIMIT_NOFILE}},
    {Work::launching, __NR_rt_sigaction},
    {Work::launching, __NR_set_robust_list},
    {Work::launching, __NR_set_tid_address},
    {Work::launching, __NR_setitimer},
    {Work::launching, __NR_tgkill},
    {Work::launching, __NR_write},
    {Work::hardening, __NR_ptrace, {PTRACE_SETOPTIONS}},
    {Work::hardening, __NR_process_vm_writev},
    {Work::hardening, __NR_ioctl, {~0ULL, policy::kNewUserfault}},
    {Work::hardening, __NR_landlock_create_ruleset},
    {Work::hardening, __NR_landlock_add_rule},
    {Work::hardening, __NR_landlock_restrict_self},
    {Work::hardening, __NR_prctl, {PR_GET_DUMPABLE}},
    {Work::optional, __NR_clock_gettime},
    {Work::optional, __NR_personality, {0xFFFFFFFF}},
    {Work::optional, __NR_mprotect, {0, 1, PROT_NONE}},
    {Work::optional, __NR_madvise, {0, 1, MADV_DONTNEED}},
    {Work::writing, __NR_write, {2}},
#ifdef __x86_64__
    {Work::joining, __NR_arch_prctl, {policy::kArchGetUntagMask}},
    {Work::joining, __NR_arch_prctl, {policy::kArchTaggedAddresses}},
    {Work::launching, __NR_dup2},
    {Work::launching, __NR_poll},
    {Work::launching, __NR_readlink},
    {Work::launching, __NR_access},
#endif
};

// The mark: an mmap of no bytes, for which the kernel answers EINVAL. Only its hint is unusual. The answer is
// kMarked and the Work bits, as an errno.
constexpr std::uint64_t kMarkHint = 0x6D61'726B'0000;
constexpr Arguments kMarkCall{kMarkHint, 0, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ULL, 0};
constexpr std::uint16_t kMarked = 0x800;
constexpr std::uint16_t kAllWork = 0x7FF;

std::uint32_t verdict_of(std::span<const sock_filter> program, std::uint32_t number,
                         const Arguments& arguments) {
  const std::uint32_t arch = this_machine().abis[0].audit_arch;
  seccomp_data data{static_cast<int>(number), arch, 0, {}};
  for (std::size_t index = 0; index < arguments.size(); ++index) data.args[index] = arguments[index];
  return policy::evaluate(program, data) & SECCOMP_RET_ACTION_FULL;
}

// A trap is treated as a kill: handlers of sandboxes often end the program, and execve resets them.
bool kills(std::span<const sock_filter> program, std::uint32_t number, const Arguments& arguments) {
  switch (verdict_of(program, number, arguments)) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_USER_NOTIF:
      return false;
    default:
      return true;
  }
}

std::uint16_t work_killed_by(std::span<const sock_filter> program) {
  std::uint16_t killed = 0;
  const auto look = [&](Work work, std::uint32_t number, const Arguments& arguments) {
    if (kills(program, number, arguments)) killed |= static_cast<std::uint16_t>(work);
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
  const long answer = raw_syscall(__NR_mmap, kMarkCall);
  return answer <= -kMarked && answer >= -(kMarked | kAllWork)
             ? static_cast<std::uint16_t>(-answer & kAllWork)
             : std::uint16_t{0};
}

// Of several marks the last one answers. It includes the calls whose callers filters of other threads kill:
// if it is not certain which filters apply, the next program makes fewer calls.
std::uint16_t work_of_mark(std::uint16_t killed) {
  return g_killed | killed;
}

// Not installed if it needs no_new_privs, which would change the programs that are executed. Installed in the
// threads in which the program installs its filter: others keep their mark.
void install_mark(std::uint16_t killed, unsigned long flags_of_program) {
  const std::uint16_t work = work_of_mark(killed);
  const unsigned long threads = flags_of_program & SECCOMP_FILTER_FLAG_TSYNC;
  std::array<sock_filter, 12> mark{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, policy::kArchField),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, this_machine().abis[0].audit_arch, 0, 9),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, policy::kNumberField),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 7),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, policy::low_of(0)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(kMarkHint), 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, policy::high_of(0)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMarkHint >> 32, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, policy::low_of(1)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | kMarked | work),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(mark.size()), mark.data()};
  const long result =
      raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, threads | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
  if (result == 0 && threads != 0) g_marked = work;
}

// What the program passes as a filter, before the kernel has read it.
enum class Given : std::uint8_t {
  nothing,  // the kernel refuses it
  unknown,  // it can't be read
  program,
};

// Whether the kernel can read the memory, of 8 bytes or more. The program may give a bad pointer to find out
// whether the kernel has filters.
Given look_at(const void* start, std::size_t size) {
  constexpr std::uintptr_t kStep = 4096;
  const auto first = reinterpret_cast<std::uintptr_t>(start);
  const std::uintptr_t last = first + size - sizeof(std::uint64_t);
  // The kernel reads the mask before it refuses -1 (kernel/signal.c, rt_sigprocmask).
  const auto look = [](std::uintptr_t at) {
    const long answer = raw_syscall(__NR_rt_sigprocmask, -1, at, nullptr, sizeof(std::uint64_t));
    return answer == -EINVAL ? Given::program : answer == -EFAULT ? Given::nothing : Given::unknown;
  };
  for (std::uintptr_t at = first; at < last; at = (at / kStep + 1) * kStep) {
    if (const Given given = look(at); given != Given::program) return given;
  }
  return look(last);
}

Given look_at(const sock_fprog* filter) {
  if (filter == nullptr) return Given::nothing;
  if (own_filters_kill(Work::locking)) return Given::unknown;
  if (const Given given = look_at(filter, sizeof *filter); given != Given::program) return given;
  if (filter->len == 0) return Given::nothing;
  const Given given = look_at(filter->filter, filter->len * sizeof(sock_filter));
  if (given != Given::program) return given;
  return policy::is_program({filter->filter, filter->len}) ? given : Given::nothing;
}

// When a filter's mark is to be installed.
enum class Marking : std::uint8_t { never, before, after };

struct NewFilter {
  std::uint16_t killed;  // Work bits
  Marking marking;
};

NewFilter inspect(std::span<const sock_filter> program, unsigned long flags) {
  const std::uint16_t killed = work_killed_by(program);
  if (killed == 0 || work_of_mark(killed) == g_marked || own_filters_kill(Work::filtering))
    return {killed, Marking::never};
  const std::uint32_t later =
      verdict_of(program, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW});
  if (later == SECCOMP_RET_ALLOW || later == SECCOMP_RET_LOG) return {killed, Marking::after};
  // Afterwards the filter may refuse it, or ask somebody who waits for this call to return. Not if the kernel
  // refuses these flags: it checks them before it reads the filter.
  const bool takes_flags = raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, kNowhere) == -EFAULT;
  return {killed, takes_flags ? Marking::before : Marking::never};
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
      return filtering || own_filters_bar_self_inspection();
    case Backend::libc:
      return own_filters_kill(Work::reading);
    case Backend::automatic:
      break;
  }
  return own_filters_kill(Work::message) || filtering || own_filters_kill(Work::launching) ||
         own_filters_bar_start() || own_filters_bar_self_inspection();
}

void look_for_own_filters() {
  g_marked = read_mark();
  note_killed(g_marked);
}

long call_that_may_filter(long number, const Arguments& a) {
  const auto call = [&] { return raw_syscall(number, a); };
  const bool is_strict = sets_mode(number, a, SECCOMP_MODE_STRICT, SECCOMP_SET_MODE_STRICT);
  if (!is_strict && !sets_mode(number, a, SECCOMP_MODE_FILTER, SECCOMP_SET_MODE_FILTER)) return call();
  // A child that shares this memory (vfork) is not this process.
  const bool is_own = own_filters_kill(Work::reading) || is_process_of_memory(raw_syscall(__NR_getpid));
  if (!is_own) return call();
  const auto* const filter = reinterpret_cast<const sock_fprog*>(a[2]);
  const Given given = is_strict ? Given::unknown : look_at(filter);
  if (given == Given::nothing) return call();
  const unsigned long flags = number == __NR_seccomp ? a[1] : 0;
  const NewFilter fresh = given == Given::program ? inspect({filter->filter, filter->len}, flags)
                                                  : NewFilter{kAllWork, Marking::never};
  if (fresh.marking == Marking::before) install_mark(fresh.killed, flags);
  const long result = call();
  // A positive result is the ID of a thread that prevents the installation, unless a listener was asked for.
  const bool installed = result == 0 || (result > 0 && (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0);
  if (!installed) return result;
  note_killed(fresh.killed);
  if (fresh.marking == Marking::after) install_mark(fresh.killed, flags);
  return result;
}

}  // namespace libmseal::shim
