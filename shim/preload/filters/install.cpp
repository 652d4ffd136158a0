#include "shim/preload/filters/install.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cerrno>

#include "shim/common/raw_syscall.h"
#include "shim/common/seccomp_flags.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

// The kernel answers EFAULT when it reads the program; any other answer comes from another filter.
long set_no_filter(unsigned long flags) {
  return raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, kNowhere);
}

long set_filter(std::span<const sock_filter> program, unsigned long flags) {
  sock_fprog filter{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
  if (set_no_filter(flags) == 0) return -EPERM;  // another filter pretends that the call succeeds
  long result = raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
  if (result == -EACCES && raw_syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
    result = raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
  }
  return result;
}

}  // namespace

long install_filter(std::span<const sock_filter> program, bool with_listener) {
  if (program_filters_kill(Purpose::filtering)) return -ECANCELED;
  // Without SPEC_ALLOW, kernels before 5.16 slow the whole program down; without TSYNC_ESRCH, a thread ID in
  // the answer could be mistaken for a descriptor.
  unsigned long flags = SECCOMP_FILTER_FLAG_TSYNC | kTsyncEsrch | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  if (!with_listener) return set_filter(program, flags);
  flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  const long result = set_filter(program, flags | kWaitKillableRecv);
  return result == -EINVAL ? set_filter(program, flags) : result;
}

long probe_listener() {
  if (program_filters_kill(Purpose::filtering)) return -ECANCELED;
  const long result = set_no_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (result == 0) return -EPERM;
  return result == -EFAULT ? 0 : result;
}

}  // namespace libmseal::shim
