#include "shim/preload/state/used_calls.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

#include <csignal>

#include "policy/bpf/evaluator.h"
#include "policy/protocol/control.h"
#include "shim/common/machine.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/seccomp_flags.h"

namespace libmseal::shim {
namespace {

using policy::Arguments;

struct UsedCall {
  Purpose purpose;
  std::uint32_t number;
  Arguments arguments{};
};

// With the arguments that a filter may look at.
constexpr std::uint64_t kLarge = 8ULL << 30;
constexpr std::uint64_t kFilterFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
constexpr std::uint64_t kReserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

constexpr UsedCall kUsedCalls[] = {
    {Purpose::locking, __NR_rt_sigprocmask, {SIG_SETMASK}},
    {Purpose::locking, __NR_futex, {0, FUTEX_WAIT_PRIVATE}},
    {Purpose::locking, __NR_futex, {0, FUTEX_WAKE_PRIVATE, 1}},
    {Purpose::filtering, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, kFilterFlags}},
    {Purpose::filtering, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, kFilterFlags | kTsyncEsrch}},
    {Purpose::filtering, __NR_brk},
    {Purpose::reading, __NR_openat, {0, 0, O_RDONLY | O_CLOEXEC}},
    {Purpose::reading, __NR_openat, {0, 0, O_RDONLY | O_CLOEXEC | O_PATH | O_DIRECTORY}},
    {Purpose::reading, __NR_openat2},
    {Purpose::reading, __NR_read},
    {Purpose::reading, __NR_close},
    {Purpose::reading, __NR_fstat},
    {Purpose::reading, __NR_fstatfs},
    {Purpose::reading, __NR_readlinkat},
    {Purpose::reading, __NR_getpid},
    {Purpose::reading, __NR_gettid},
    {Purpose::searching, __NR_getdents64},
    {Purpose::searching, __NR_kcmp},
    {Purpose::searching, __NR_kill},
    {Purpose::searching, __NR_clone},
    {Purpose::searching, __NR_exit_group},
    {Purpose::searching, __NR_wait4},
    {Purpose::searching, __NR_ptrace},
    {Purpose::searching, __NR_mmap, {0, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS}},
    {Purpose::searching, __NR_munmap, {0, 1}},
    {Purpose::searching, __NR_mmap, {0, kLarge, PROT_NONE, kReserved}},
    {Purpose::searching, __NR_munmap, {0, kLarge}},
    {Purpose::searching, __NR_clock_gettime},
    {Purpose::searching, __NR_nanosleep},
    {Purpose::searching, __NR_prlimit64, {0, RLIMIT_AS}},  // for a message
    {Purpose::joining, __NR_madvise, {0, 0, MADV_WIPEONFORK}},
    {Purpose::joining, __NR_mmap, {0, 1, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE}},
    {Purpose::joining, __NR_mmap, {0, 1, PROT_NONE, kReserved | MAP_FIXED_NOREPLACE}},
    {Purpose::joining, __NR_prctl, {PR_GET_SECCOMP}},
    {Purpose::joining, __NR_faccessat},
    {Purpose::joining, __NR_pread64},
    {Purpose::joining, __NR_getrandom},
    {Purpose::joining, __NR_getppid},
    {Purpose::joining, __NR_uname},
    {Purpose::launching,
     __NR_seccomp,
     {SECCOMP_SET_MODE_FILTER, kFilterFlags | SECCOMP_FILTER_FLAG_NEW_LISTENER}},
    {Purpose::launching, __NR_prctl, {PR_SET_NO_NEW_PRIVS, 1}},
    {Purpose::launching, __NR_prctl, {PR_GET_CHILD_SUBREAPER}},
    {Purpose::launching, __NR_mremap},
    {Purpose::launching, __NR_clone},
    {Purpose::launching, __NR_exit_group},
    {Purpose::launching, __NR_wait4},
    {Purpose::launching, __NR_kill},
    {Purpose::launching, __NR_socketpair},
    {Purpose::launching, __NR_fcntl},
    {Purpose::launching, __NR_setsid},
    {Purpose::launching, __NR_dup3},
    {Purpose::launching, __NR_pipe2},
    {Purpose::launching, __NR_prctl, {PR_SET_PDEATHSIG}},
    {Purpose::launching, __NR_close_range},
    {Purpose::launching, __NR_execve},
    {Purpose::launching, __NR_ppoll},
    {Purpose::launching, __NR_sendto},
    {Purpose::launching, __NR_sendmsg},
    {Purpose::launching, __NR_recvmsg},
    // Calls of the supervisor, which inherits the filter. It works without kcmp, ptrace and setpriority.
    {Purpose::launching, __NR_chdir},
    {Purpose::launching, __NR_clock_gettime},
    {Purpose::launching, __NR_fstat},
    {Purpose::launching, __NR_ftruncate},
    {Purpose::launching, __NR_getdents64},
    {Purpose::launching, __NR_geteuid},
    {Purpose::launching, __NR_getresuid},
    {Purpose::launching, __NR_getsockopt},
    {Purpose::launching, __NR_ioctl, {0, SECCOMP_IOCTL_NOTIF_RECV}},
    {Purpose::launching, __NR_lseek},
    {Purpose::launching, __NR_memfd_create, {0, MFD_CLOEXEC | MFD_ALLOW_SEALING}},
    {Purpose::launching, __NR_mprotect},
    {Purpose::launching, __NR_munmap},
    {Purpose::launching, __NR_nanosleep},
    {Purpose::launching, __NR_newfstatat},
    {Purpose::launching, __NR_prlimit64, {0, RLIMIT_NOFILE}},
    {Purpose::launching, __NR_rt_sigaction},
    {Purpose::launching, __NR_set_robust_list},
    {Purpose::launching, __NR_set_tid_address},
    {Purpose::launching, __NR_setitimer},
    {Purpose::launching, __NR_tgkill},
    {Purpose::launching, __NR_write},
    {Purpose::hardening, __NR_ptrace, {PTRACE_SETOPTIONS}},
    {Purpose::hardening, __NR_process_vm_writev},
    {Purpose::hardening, __NR_ioctl, {~0ULL, policy::kNewUserfault}},
    {Purpose::hardening, __NR_landlock_create_ruleset},
    {Purpose::hardening, __NR_landlock_add_rule},
    {Purpose::hardening, __NR_landlock_restrict_self},
    {Purpose::hardening, __NR_prctl, {PR_GET_DUMPABLE}},
    {Purpose::optional, __NR_clock_gettime},
    {Purpose::optional, __NR_personality, {0xFFFFFFFF}},
    {Purpose::optional, __NR_mprotect, {0, 1, PROT_NONE}},
    {Purpose::optional, __NR_madvise, {0, 1, MADV_DONTNEED}},
    {Purpose::writing, __NR_write, {2}},
    {Purpose::optional, __NR_fstat, {2}},
    {Purpose::optional, __NR_fcntl, {2, F_GETFL}},
    {Purpose::optional, __NR_ioctl, {2, TCGETS}},
    {Purpose::optional, __NR_ppoll},
    {Purpose::optional, __NR_rt_sigprocmask, {SIG_BLOCK}},
    {Purpose::optional, __NR_rt_sigpending},
    {Purpose::optional, __NR_rt_sigtimedwait},
#ifdef __x86_64__
    {Purpose::joining, __NR_arch_prctl, {policy::kArchGetUntagMask}},
    {Purpose::joining, __NR_arch_prctl, {policy::kArchTaggedAddresses}},
    {Purpose::launching, __NR_dup2},
    {Purpose::launching, __NR_poll},
    {Purpose::launching, __NR_readlink},
    {Purpose::launching, __NR_access},
#endif
};

// A trap counts as a kill: handlers of sandboxes often end the program, and execve resets them.
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

}  // namespace

std::uint32_t verdict_of(std::span<const sock_filter> program, std::uint32_t number,
                         const Arguments& arguments) {
  const std::uint32_t arch = this_machine().abis[0].audit_arch;
  seccomp_data data{static_cast<int>(number), arch, 0, {}};
  for (std::size_t index = 0; index < arguments.size(); ++index) data.args[index] = arguments[index];
  return policy::evaluate(program, data) & SECCOMP_RET_ACTION_FULL;
}

std::uint16_t purposes_killed_by(std::span<const sock_filter> program) {
  std::uint16_t killed = 0;
  const auto look = [&](Purpose purpose, std::uint32_t number, const Arguments& arguments) {
    if (kills(program, number, arguments)) killed |= static_cast<std::uint16_t>(purpose);
  };
  for (const UsedCall& one : kUsedCalls) look(one.purpose, one.number, one.arguments);
  const Arguments message = policy::encode({policy::Control::Kind::query, {{0, 1U << 16}}});
  look(Purpose::message, policy::kMsealNumber, message);
  look(Purpose::wrapped_message, __NR_mmap, policy::wrap_in_mmap(message));
  return killed;
}

}  // namespace libmseal::shim
