#include "policy/bpf/blocked_calls.h"

#include "policy/bpf/compiled_rules.h"

namespace libmseal::policy {
namespace {

struct Programs {
  std::span<const sock_filter> blocked_calls;
  std::span<const sock_filter> hardening;
};

Programs compiled_for(const Machine& machine) {
  if (machine.abis[0].audit_arch == kAuditAarch64) return {kArm64BlockedCalls, kArm64Hardening};
  return {kX86BlockedCalls, kX86Hardening};
}

// `choose` is the action for the calls of a rule.
template <class Choose>
void write(std::span<const sock_filter> compiled, BpfProgram& program, Choose choose) {
  program.prepend(compiled, [&](std::uint32_t action) {
    return Placeholder::is_one(action) ? choose(Placeholder::of(action)) : action;
  });
}

}  // namespace

void write_blocked_calls(const Machine& machine, const Options& options, const NotifiedCalls& notified,
                         BpfProgram& program) {
  write(compiled_for(machine).blocked_calls, program, [&](const Placeholder& rule) -> std::uint32_t {
    if (rule.bit == kProgramStart) return notified.starts ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
    if (rule.bit == kLineage) return notified.lineage ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
    if ((options.open_calls & rule.bit) != 0) return SECCOMP_RET_ALLOW;
    if (!options.audit) return rule.refusal();
    // An audit refuses nothing but records the calls. There would be too many clone3 calls.
    return rule.bit == kBlockedClone3 ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
  });
}

void write_hardening(const Machine& machine, unsigned what, BpfProgram& program) {
  write(compiled_for(machine).hardening, program, [&](const Placeholder& rule) -> std::uint32_t {
    return (what & rule.bit) != 0 ? rule.refusal() : SECCOMP_RET_ALLOW;
  });
}

}  // namespace libmseal::policy
