#include "shim/preload/other_filters.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>

#include "policy/protocol/control.h"
#include "policy/rules/abi.h"
#include "shim/common/proc_root.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

// Whether a child that does this is killed. The child has no exit signal, so that neither SIGCHLD nor wait()
// of the program tells of it.
template <class Work>
bool kills(Work work) {
  const long child = raw_syscall(__NR_clone, 0, 0, 0, 0, 0);
  if (failed(child)) return false;
  if (child == 0) {
    work();
    while (true) (void)raw_syscall(__NR_exit_group, 0);
  }
  int status = 0;
  long waited = 0;
  do {
    waited = raw_syscall(__NR_wait4, child, &status, __WCLONE, nullptr);
  } while (waited == -EINTR);
  return waited == child && WIFSIGNALED(status);
}

// None of these calls does anything.
void call_mseal_and_seccomp() {
  (void)raw_syscall(policy::kMsealNumber, 0, 0, 1);
  (void)raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, nullptr);
}

void call_openat2() {
  (void)raw_syscall(__NR_openat2, AT_FDCWD, nullptr, nullptr, 0);
}

// A question by mmap (control.h): what is answered, where nobody listens by the kernel.
long ask_by_mmap() {
  constexpr policy::Range kNothing{0, 1U << 16};
  const policy::Arguments a =
      policy::wrap_in_mmap(policy::encode({policy::Control::Kind::query, {kNothing}}));
  return raw_syscall(__NR_mmap, a[0], a[1], a[2], a[3], a[4], a[5]);
}

void say_by_mmap() {
  (void)ask_by_mmap();
}

// Whether the supervisor of a tree, or the filter that it has left behind, answers.
bool is_in_tree() {
  const long answer = ask_by_mmap();
  return answer >= 0 || answer == -ENOSYS || answer < -policy::kWrappedErrors;
}

void do_all() {
  call_mseal_and_seccomp();
  call_openat2();
  say_by_mmap();
}

}  // namespace

bool g_wrapping_kills = false;

bool tagging_is_refused() {
#ifdef __x86_64__
  constexpr long kSetTaggedAddresses = 0x4002;  // ARCH_ENABLE_TAGGED_ADDR
  constexpr long kTooManyBits = 64;             // the kernel's own answer is EINVAL
  return raw_syscall(__NR_arch_prctl, kSetTaggedAddresses, kTooManyBits) == -EPERM;
#else
  return false;
#endif
}

bool other_filters_kill() {
  const long mode = raw_syscall(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0);
  // In this order: an audit would record the second question as an attempt.
  if (mode != SECCOMP_MODE_FILTER || is_in_tree() || tagging_is_refused()) return false;
  if (!kills(do_all)) return false;
  g_openat2_kills = kills(call_openat2);
  g_wrapping_kills = kills(say_by_mmap);
  return g_openat2_kills || kills(call_mseal_and_seccomp);
}

}  // namespace libmseal::shim
