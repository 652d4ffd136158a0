#include "shim/preload/process/earlier_filters.h"

#include <linux/seccomp.h>

#include <cerrno>

#include "policy/rules/abi.h"
#include "policy/rules/tree_question.h"
#include "shim/common/killed_calls.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

// Neither call has an effect. A call is not tried if a known filter kills its callers.
void call_mseal_and_seccomp() {
  if (!program_filters_kill(Purpose::message)) (void)raw_syscall(policy::kMsealNumber, 0, 0, 1);
  if (!program_filters_kill(Purpose::filtering))
    (void)raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, kNowhere);
}

// tree_question.h. It takes the same way through other filters as a message by mmap (control.h).
long ask_by_mmap() {
  return raw_syscall(__NR_mmap, 0, 0, 0, policy::kTreeQuestion, -1, 0);
}

void do_all() {
  call_mseal_and_seccomp();
  try_openat2();
  try_kcmp();
  (void)ask_by_mmap();
}

}  // namespace

bool tagging_is_refused() {
#ifdef __x86_64__
  constexpr long kTooManyBits = 64;  // the kernel's own answer is EINVAL
  return raw_syscall(__NR_arch_prctl, policy::kArchTaggedAddresses, kTooManyBits) == -EPERM;
#else
  return false;
#endif
}

void look_at_earlier_filters(State& state) {
  EarlierFilters& found = state.earlier_filters;
  // In this order, because an audit would record the second call as an attempt.
  if (!has_filters()) return;
  found.are_of_tree = !program_filters_kill(Purpose::wrapped_message) && ask_by_mmap() == -policy::kInTree;
  if (found.are_of_tree || tagging_is_refused() || program_filters_kill(Purpose::searching) || !kills(do_all))
    return;
  g_killed_calls.openat2 = kills(try_openat2);
  g_killed_calls.kcmp = g_killed_calls.kcmp || kills(try_kcmp);
  found.kill_wrapped_message = kills(ask_by_mmap);
  if (g_killed_calls.openat2 || kills(call_mseal_and_seccomp)) {
    state.barred =
        "a seccomp filter of a service or sandbox kills programs that call mseal(2), seccomp(2) or "
        "openat2(2); make the filter allow them";
  }
}

}  // namespace libmseal::shim
