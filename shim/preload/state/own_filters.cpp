#include "shim/preload/state/own_filters.h"

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <csignal>
#include <span>

#include "policy/bpf/evaluator.h"
#include "policy/protocol/control.h"
#include "shim/common/killed_calls.h"
#include "shim/common/machine.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/state/lock.h"

namespace libmseal::shim {

constinit OwnFilters g_own_filters;

namespace {

using policy::Arguments;

struct UsedCall {
  bool OwnFilters::*purpose;
  std::uint32_t number;
  Arguments arguments{};
};

constexpr UsedCall kUsedCalls[] = {
    {&OwnFilters::locking, __NR_rt_sigprocmask, {SIG_SETMASK}},
    {&OwnFilters::locking, __NR_futex, {0, FUTEX_WAIT_PRIVATE}},
    {&OwnFilters::filtering, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC}},
    {&OwnFilters::filtering, __NR_brk},
    {&OwnFilters::reading, __NR_openat},
    {&OwnFilters::reading, __NR_read},
    {&OwnFilters::reading, __NR_close},
    {&OwnFilters::reading, __NR_fstatfs},
    {&OwnFilters::reading, __NR_getdents64},
    {&OwnFilters::reading, __NR_readlinkat},
    {&OwnFilters::reading, __NR_getpid},
    {&OwnFilters::reading, __NR_gettid},
    {&OwnFilters::reading, __NR_kill},
    {&OwnFilters::reading, __NR_clone},
    {&OwnFilters::reading, __NR_exit_group},
    {&OwnFilters::reading, __NR_wait4},
    {&OwnFilters::reading, __NR_ptrace},
    {&OwnFilters::reading, __NR_mmap},
    {&OwnFilters::reading, __NR_munmap},
    {&OwnFilters::reading, __NR_clock_gettime},
    {&OwnFilters::reading, __NR_nanosleep},
    {&OwnFilters::reading, __NR_prlimit64},  // for a message
    {&OwnFilters::starting, __NR_socketpair},
    {&OwnFilters::starting, __NR_fcntl},
    {&OwnFilters::starting, __NR_setsid},
    {&OwnFilters::starting, __NR_dup3},
    {&OwnFilters::starting, __NR_close_range},
    {&OwnFilters::starting, __NR_execve},
    {&OwnFilters::starting, __NR_ppoll},
    {&OwnFilters::starting, __NR_sendto},
    {&OwnFilters::starting, __NR_sendmsg},
    {&OwnFilters::starting, __NR_recvmsg},
    {&OwnFilters::starting, __NR_prctl, {PR_SET_NO_NEW_PRIVS, 1}},
    {&OwnFilters::starting, __NR_faccessat},
    {&OwnFilters::starting, __NR_pread64},
    {&OwnFilters::starting, __NR_getrandom},
    {&OwnFilters::starting, __NR_uname},
    {&OwnFilters::starting, __NR_mremap},
    {&OwnFilters::starting, __NR_getppid},
    {&OwnFilters::reporting, __NR_clock_gettime},
    {&OwnFilters::writing, __NR_write, {2}},
    {&OwnFilters::exec_layout, __NR_personality, {0xFFFFFFFF}},
};

bool kills(std::span<const sock_filter> program, std::uint32_t number, const Arguments& arguments) {
  const std::uint32_t arch = this_machine().abis[0].audit_arch;
  seccomp_data data{static_cast<int>(number), arch, 0, {}};
  for (std::size_t index = 0; index < arguments.size(); ++index) data.args[index] = arguments[index];
  const std::uint32_t action = policy::evaluate(program, data) & SECCOMP_RET_ACTION_FULL;
  return action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD;
}

void note(const sock_fprog& filter) {
  const std::span<const sock_filter> program(filter.filter, filter.len);
  const auto look = [&](bool& killed, std::uint32_t number, const Arguments& arguments) {
    killed = killed || kills(program, number, arguments);
  };
  for (const UsedCall& one : kUsedCalls) look(g_own_filters.*one.purpose, one.number, one.arguments);
  const Arguments message = policy::encode({policy::Control::Kind::query, {{0, 1U << 16}}});
  look(g_own_filters.message, policy::kMsealNumber, message);
  look(g_own_filters.wrapped_message, __NR_mmap, policy::wrap_in_mmap(message));
  look(g_killed_calls.openat2, __NR_openat2, {});
  look(g_killed_calls.kcmp, __NR_kcmp, {});
  restrict_messages(g_own_filters.writing, g_own_filters.reading);
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

bool own_filters_bar_sealing(const State& state) {
  using policy::Backend;
  const OwnFilters& kill = g_own_filters;
  if (kill.locking) return true;
  switch (state.backend) {
    case Backend::kernel:
      return kill.message;
    case Backend::supervised:
      return own_filters_bar_messages() || (kill.filtering && !state.tree_options.covers_all);
    case Backend::filters:
      return kill.filtering || kill.reading;
    case Backend::libc:
      return kill.reading;
    case Backend::automatic:
      break;
  }
  return kill.message || kill.filtering || kill.reading || kill.starting;
}

long call_that_may_filter(long number, const Arguments& a) {
  const sock_fprog* const filter = filter_of(number, a);
  // A child that shares this memory (vfork) is not this process. Asked before, because the filter may kill
  // for it.
  const bool is_own = filter != nullptr && is_process_of_memory(raw_syscall(__NR_getpid));
  const long result = raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  // Without NEW_LISTENER, a positive result is the ID of a thread that prevents the installation.
  const bool with_listener =
      number == __NR_seccomp && (a[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0 && result > 0;
  if (is_own && (result == 0 || with_listener)) note(*filter);
  return result;
}

}  // namespace libmseal::shim
