#include "shim/preload/state/program_filters.h"

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

constinit std::atomic<std::uint16_t> g_killed = 0;  // Task bits
constinit std::atomic<std::uint16_t> g_marked = 0;  // of the marks that all threads have

struct UsedCall {
  Task task;
  std::uint32_t number;
  Arguments arguments{};
};

// With the arguments that a filter may look at.
constexpr std::uint64_t kLarge = 8ULL << 30;
constexpr std::uint64_t kFilterFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
constexpr std::uint64_t kReserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

constexpr UsedCall kUsedCalls[] = {
    {Task::locking, __NR_rt_sigprocmask, {SIG_SETMASK}},
    {Task::locking, __NR_futex, {0, FUTEX_WAIT_PRIVATE}},
    {Task::locking, __NR_futex, {0, FUTEX_WAKE_PRIVATE, 1}},
    {Task::filtering, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, kFilterFlags}},
    {Task::filtering, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, kFilterFlags | kTsyncEsrch}},
    {Task::filtering, __NR_brk},
    {Task::reading, __NR_openat, {0, 0, O_RDONLY | O_CLOEXEC}},
    {Task::reading, __NR_openat, {0, 0, O_RDONLY | O_CLOEXEC | O_PATH | O_DIRECTORY}},
    {Task::reading, __NR_openat2},
    {Task::reading, __NR_read},
    {Task::reading, __NR_close},
    {Task::reading, __NR_fstat},
    {Task::reading, __NR_fstatfs},
    {Task::reading, __NR_readlinkat},
    {Task::reading, __NR_getpid},
    {Task::reading, __NR_gettid},
    {Task::searching, __NR_getdents64},
    {Task::searching, __NR_kcmp},
    {Task::searching, __NR_kill},
    {Task::searching, __NR_clone},
    {Task::searching, __NR_exit_group},
    {Task::searching, __NR_wait4},
    {Task::searching, __NR_ptrace},
    {Task::searching, __NR_mmap, {0, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS}},
    {Task::searching, __NR_munmap, {0, 1}},
    {Task::searching, __NR_clock_gettime},
    {Task::searching, __NR_nanosleep},
    {Task::searching, __NR_prlimit64, {0, RLIMIT_AS}},  // for a message
    {Task::joining, __NR_madvise, {0, 0, MADV_WIPEONFORK}},
    {Task::joining, __NR_mmap, {0, 1, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE}},
    {Task::joining, __NR_mmap, {0, 1, PROT_NONE, kReserved | MAP_FIXED_NOREPLACE}},
    {Task::joining, __NR_mmap, {0, kLarge, PROT_NONE, kReserved}},
    {Task::joining, __NR_munmap, {0, kLarge}},
    {Task::joining, __NR_prctl, {PR_GET_SECCOMP}},
    {Task::joining, __NR_faccessat},
    {Task::joining, __NR_pread64},
    {Task::joining, __NR_getrandom},
    {Task::joining, __NR_getppid},
    {Task::joining, __NR_uname},
    {Task::launching,
     __NR_seccomp,
     {SECCOMP_SET_MODE_FILTER, kFilterFlags | SECCOMP_FILTER_FLAG_NEW_LISTENER}},
    {Task::launching, __NR_prctl, {PR_SET_NO_NEW_PRIVS, 1}},
    {Task::launching, __NR_prctl, {PR_GET_CHILD_SUBREAPER}},
    {Task::launching, __NR_mremap},
    {Task::launching, __NR_clone},
    {Task::launching, __NR_exit_group},
    {Task::launching, __NR_wait4},
    {Task::launching, __NR_kill},
    {Task::launching, __NR_socketpair},
    {Task::launching, __NR_fcntl},
    {Task::launching, __NR_setsid},
    {Task::launching, __NR_dup3},
    {Task::launching, __NR_close_range},
    {Task::launching, __NR_execve},
    {Task::launching, __NR_ppoll},
    {Task::launching, __NR_sendto},
    {Task::launching, __NR_sendmsg},
    {Task::launching, __NR_recvmsg},
    // Calls of the supervisor, which inherits the filter. It works without kcmp, ptrace and setpriority.
    {Task::launching, __NR_chdir},
    {Task::launching, __NR_clock_gettime},
    {Task::launching, __NR_fstat},
    {Task::launching, __NR_ftruncate},
    {Task::launching, __NR_getdents64},
    {Task::launching, __NR_geteuid},
    {Task::launching, __NR_getresuid},
    {Task::launching, __NR_getsockopt},
    {Task::launching, __NR_ioctl, {0, SECCOMP_IOCTL_NOTIF_RECV}},
    {Task::launching, __NR_lseek},
    {Task::launching, __NR_memfd_create, {0, MFD_CLOEXEC | MFD_ALLOW_SEALING}},
    {Task::launching, __NR_mprotect},
    {Task::launching, __NR_munmap},
    {Task::launching, __NR_nanosleep},
    {Task::launching, __NR_newfstatat},
    {Task::launching, __NR_prlimit64, {0, RLIMIT_NOFILE}},
    {Task::launching, __NR_rt_sigaction},
    {Task::launching, __NR_set_robust_list},
    {Task::launching, __NR_set_tid_address},
    {Task::launching, __NR_setitimer},
    {Task::launching, __NR_tgkill},
    {Task::launching, __NR_write},
    {Task::hardening, __NR_ptrace, {PTRACE_SETOPTIONS}},
    {Task::hardening, __NR_process_vm_writev},
    {Task::hardening, __NR_ioctl, {~0ULL, policy::kNewUserfault}},
    {Task::hardening, __NR_landlock_create_ruleset},
    {Task::hardening, __NR_landlock_add_rule},
    {Task::hardening, __NR_landlock_restrict_self},
    {Task::hardening, __NR_prctl, {PR_GET_DUMPABLE}},
    {Task::optional, __NR_clock_gettime},
    {Task::optional, __NR_personality, {0xFFFFFFFF}},
    {Task::optional, __NR_mprotect, {0, 1, PROT_NONE}},
    {Task::optional, __NR_madvise, {0, 1, MADV_DONTNEED}},
    {Task::writing, __NR_write, {2}},
#ifdef __x86_64__
    {Task::joining, __NR_arch_prctl, {policy::kArchGetUntagMask}},
    {Task::joining, __NR_arch_prctl, {policy::kArchTaggedAddresses}},
    {Task::launching, __NR_dup2},
    {Task::launching, __NR_poll},
    {Task::launching, __NR_readlink},
    {Task::launching, __NR_access},
#endif
};

// The mark: an mmap of no bytes, for which the kernel answers EINVAL. Only its hint is unusual. The answer is
// kMarked and the Task bits, as an errno.
constexpr std::uint64_t kMarkHint = 0x6D61'726B'0000;
constexpr Arguments kMarkCall{kMarkHint, 0, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ULL, 0};
constexpr std::uint16_t kMarked = 0x800;
constexpr std::uint16_t kAllTasks = 0x7FF;

std::uint32_t verdict_of(std::span<const sock_filter> program, std::uint32_t number,
                         const Arguments& arguments) {
  const std::uint32_t arch = this_machine().abis[0].audit_arch;
  seccomp_data data{static_cast<int>(number), arch, 0, {}};
  for (std::size_t index = 0; index < arguments.size(); ++index) data.args[index] = arguments[index];
  return policy::evaluate(program, data) & SECCOMP_RET_ACTION_FULL;
}

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

std::uint16_t tasks_killed_by(std::span<const sock_filter> program) {
  std::uint16_t killed = 0;
  const auto look = [&](Task task, std::uint32_t number, const Arguments& arguments) {
    if (kills(program, number, arguments)) killed |= static_cast<std::uint16_t>(task);
  };
  for (const UsedCall& one : kUsedCalls) look(one.task, one.number, one.arguments);
  const Arguments message = policy::encode({policy::Control::Kind::query, {{0, 1U << 16}}});
  look(Task::message, policy::kMsealNumber, message);
  look(Task::wrapped_message, __NR_mmap, policy::wrap_in_mmap(message));
  return killed;
}

void note_killed(std::uint16_t killed) {
  if (killed == 0) return;
  g_killed.fetch_or(killed);
  g_killed_calls.kcmp = g_killed_calls.kcmp || program_filters_kill(Task::searching);
  restrict_messages(program_filters_kill(Task::writing), program_filters_kill(Task::reading));
}

// Task bits; 0 if there is no mark.
std::uint16_t read_mark() {
  const long answer = raw_syscall(__NR_mmap, kMarkCall);
  return answer <= -kMarked && answer >= -(kMarked | kAllTasks)
             ? static_cast<std::uint16_t>(-answer & kAllTasks)
             : std::uint16_t{0};
}

// Of several marks the last one answers. It includes the calls whose callers filters of other threads kill:
// if it is not certain which filters apply, the next program makes fewer calls.
std::uint16_t tasks_of_mark(std::uint16_t killed) {
  return g_killed | killed;
}

// Not installed if it needs no_new_privs, which would change the programs that are executed. Installed in the
// threads in which the program installs its filter: others keep their mark.
void install_mark(std::uint16_t killed, unsigned long flags_of_program) {
  const std::uint16_t tasks = tasks_of_mark(killed);
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
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | kMarked | tasks),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(mark.size()), mark.data()};
  const long result =
      raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, threads | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
  if (result == 0 && threads != 0) g_marked = tasks;
}

// What the program passes as a filter, before the kernel has read it.
enum class FilterArgument : std::uint8_t {
  nothing,  // the kernel refuses it
  unknown,  // it can't be read
  program,
};

// Whether the kernel can read the memory, of 8 bytes or more. The program may give a bad pointer to find out
// whether the kernel has filters.
FilterArgument look_at(const void* start, std::size_t size) {
  constexpr std::uintptr_t kStep = 4096;
  const auto first = reinterpret_cast<std::uintptr_t>(start);
  const std::uintptr_t last = first + size - sizeof(std::uint64_t);
  // The kernel reads the mask before it refuses -1 (kernel/signal.c, rt_sigprocmask).
  const auto look = [](std::uintptr_t at) {
    const long answer = raw_syscall(__NR_rt_sigprocmask, -1, at, nullptr, sizeof(std::uint64_t));
    return answer == -EINVAL   ? FilterArgument::program
           : answer == -EFAULT ? FilterArgument::nothing
                               : FilterArgument::unknown;
  };
  for (std::uintptr_t at = first; at < last; at = (at / kStep + 1) * kStep) {
    if (const FilterArgument given = look(at); given != FilterArgument::program) return given;
  }
  return look(last);
}

FilterArgument look_at(const sock_fprog* filter) {
  if (filter == nullptr) return FilterArgument::nothing;
  if (program_filters_kill(Task::locking)) return FilterArgument::unknown;
  if (const FilterArgument given = look_at(filter, sizeof *filter); given != FilterArgument::program)
    return given;
  if (filter->len == 0) return FilterArgument::nothing;
  const FilterArgument given = look_at(filter->filter, filter->len * sizeof(sock_filter));
  if (given != FilterArgument::program) return given;
  return policy::is_program({filter->filter, filter->len}) ? given : FilterArgument::nothing;
}

// When a filter's mark is to be installed.
enum class Marking : std::uint8_t { never, before, after };

struct NewFilter {
  std::uint16_t killed;  // Task bits
  Marking marking;
};

NewFilter inspect(std::span<const sock_filter> program, unsigned long flags) {
  const std::uint16_t killed = tasks_killed_by(program);
  if (killed == 0 || tasks_of_mark(killed) == g_marked || program_filters_kill(Task::filtering))
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

bool program_filters_kill(Task task) {
  return (g_killed.load(std::memory_order_relaxed) & static_cast<std::uint16_t>(task)) != 0;
}

bool program_filters_bar_sealing(const State& state) {
  using policy::Backend;
  if (program_filters_kill(Task::locking)) return true;
  const bool filtering = program_filters_kill(Task::filtering);
  switch (state.backend) {
    case Backend::kernel:
      return program_filters_kill(Task::message);
    case Backend::supervised:
      return program_filters_bar_messages() || (filtering && !state.tree_options.covers_all);
    case Backend::filters:
      return filtering || program_filters_bar_self_inspection();
    case Backend::libc:
      return program_filters_kill(Task::reading);
    case Backend::automatic:
      break;
  }
  return program_filters_kill(Task::message) || filtering || program_filters_kill(Task::launching) ||
         program_filters_bar_start() || program_filters_bar_self_inspection();
}

void look_for_program_filters() {
  g_marked = read_mark();
  note_killed(g_marked);
}

long call_that_may_filter(long number, const Arguments& a) {
  const auto call = [&] { return raw_syscall(number, a); };
  const bool is_strict = sets_mode(number, a, SECCOMP_MODE_STRICT, SECCOMP_SET_MODE_STRICT);
  if (!is_strict && !sets_mode(number, a, SECCOMP_MODE_FILTER, SECCOMP_SET_MODE_FILTER)) return call();
  // A child that shares this memory (vfork) is not this process.
  const bool is_own = program_filters_kill(Task::reading) || is_process_of_memory(raw_syscall(__NR_getpid));
  if (!is_own) return call();
  const auto* const filter = reinterpret_cast<const sock_fprog*>(a[2]);
  const FilterArgument given = is_strict ? FilterArgument::unknown : look_at(filter);
  if (given == FilterArgument::nothing) return call();
  const unsigned long flags = number == __NR_seccomp ? a[1] : 0;
  const NewFilter fresh = given == FilterArgument::program ? inspect({filter->filter, filter->len}, flags)
                                                           : NewFilter{kAllTasks, Marking::never};
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
