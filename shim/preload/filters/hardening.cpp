#include "shim/preload/filters/hardening.h"

#include <sys/ptrace.h>
#include <sys/uio.h>

#include <cerrno>

#include "policy/bpf/blocked_calls.h"
#include "policy/rules/abi.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/filters/install.h"
#include "shim/preload/filters/landlock.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

// Tries calls on processes and descriptors that do not exist: only our filter answers EPERM.
bool refused(policy::Hardening what) {
  constexpr long kNobody = -1;
  char byte = 0;
  const iovec part{&byte, 1};
  switch (what) {
    case policy::kHardenPtrace:
      return raw_syscall(__NR_ptrace, PTRACE_SETOPTIONS, kNobody, 0, 0) == -EPERM;
    case policy::kHardenProcessVmWritev:
      return raw_syscall(__NR_process_vm_writev, kNobody, &part, 1, &part, 1, 0) == -EPERM;
    case policy::kHardenUserfaultfd:
      return raw_syscall(__NR_ioctl, kNobody, policy::kNewUserfault, 0) == -EPERM;
    case policy::kHardenProcMem:
      return writing_proc_is_forbidden();
  }
  return false;
}

}  // namespace

void harden(const State& state, Draft& draft) {
  if (state.options.harden != 0 && state.is_barred()) refuse_to_start("harden=", "", state.barred);
  if (state.options.harden != 0 && program_filters_kill(Purpose::hardening)) {
    refuse_to_start(
        "harden=", "",
        "a seccomp filter of this program or an ancestor kills processes that make a call needed for this");
  }
  // At the root of a tree a parent's filter, of another kind, may refuse what is tried and nothing else.
  const bool is_root = state.backend == policy::Backend::supervised && !state.joined;
  unsigned missing = 0;
  for (const policy::Hardening one : {policy::kHardenPtrace, policy::kHardenProcessVmWritev,
                                      policy::kHardenUserfaultfd, policy::kHardenProcMem}) {
    if ((state.options.harden & one) != 0 && (is_root || !refused(one))) missing |= one;
  }
  if ((missing & policy::kHardenProcMem) != 0) {
    if (const std::string_view why = forbid_writing_proc(); !why.empty())
      refuse_to_start("harden=", "proc_mem", why);
  }
  missing &= ~static_cast<unsigned>(policy::kHardenProcMem);
  if (missing == 0) return;
  draft.program.clear();
  policy::write_hardening(state.machine, missing, draft.program);
  if (const long error = install_filter(draft.program.instructions(), false); error != 0) {
    refuse_to_start("harden=", "", Reason{"the filter could not be installed", error});
  }
}

}  // namespace libmseal::shim
