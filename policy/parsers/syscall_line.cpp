#include "policy/parsers/syscall_line.h"

#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <algorithm>

#include "policy/parsers/text.h"
#include "policy/rules/mm_call.h"

namespace libmseal::policy {
namespace {

bool is_cloning(const Abi& abi, std::uint64_t number, const Arguments& arguments) {
  if (number == abi.clones.vfork || number == abi.clones.clone3) return true;
  return number == abi.clones.clone && (arguments[0] & (CLONE_VM | CLONE_THREAD)) == CLONE_VM;
}

// Whether it is a call that is blocked in sealed processes and would still take effect if it began before the
// first seal. Calls on an existing io_uring need no check: mseal looks for the ring itself.
bool is_blocked(const Abi& abi, std::uint64_t number, const Arguments& arguments) {
  constexpr std::uint32_t kArchSettings[] = {kArchTaggedAddresses, kArchShadowStackOn, kArchShadowStackOff};
  const auto first = static_cast<std::uint32_t>(arguments[0]);
  const BlockedNumbers& blocked = abi.blocked;
  if (number == kIoUringSetupNumber || number == blocked.uselib) return true;
  // If it can't write its token, it unmaps whatever lies at the address of its stack
  // (arch/x86/kernel/shstk.c).
  if (number == kMapShadowStackNumber) return true;
  if (number == kProcessMadviseNumber) return is_discarding(static_cast<std::uint32_t>(arguments[3]));
  if (number == blocked.prctl) {
    return first == PR_SET_MM || (first == kShadowStackStatus && (arguments[1] & kShadowStackEnable) != 0);
  }
  if (number == blocked.arch_prctl) return std::ranges::find(kArchSettings, first) != std::end(kArchSettings);
  if (number == blocked.memfd_create) return (arguments[1] & kMemfdHugetlb) != 0;
  return number == blocked.seccomp && first == SECCOMP_SET_MODE_FILTER &&
         (arguments[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
}

Whereabouts whereabouts_in(const Abi& abi, std::uint64_t number, const Arguments& arguments) {
  if (number > ~0U) return Whereabouts::elsewhere;
  if (is_cloning(abi, number, arguments)) return Whereabouts::cloning;
  if (is_blocked(abi, number, arguments)) return Whereabouts::in_call;
  const CallNumber* const entry = find_call(abi, static_cast<std::uint32_t>(number));
  const bool changes = entry != nullptr && entry->call != Call::shmget && entry->call != Call::mseal;
  return changes ? Whereabouts::in_call : Whereabouts::elsewhere;
}

}  // namespace

// fs/proc/base.c, proc_pid_syscall: "running", "-1 SP PC", or the number, six arguments, SP and PC.
std::optional<Whereabouts> parse_syscall_line(const Machine& machine, std::string_view line, Begun begun) {
  if (line.starts_with("running")) return Whereabouts::running;
  if (line.starts_with("-1 ")) return Whereabouts::elsewhere;  // a page fault, say
  std::uint64_t number = 0;
  Arguments arguments{};
  if (!take_number(line, 10, number)) return std::nullopt;
  for (std::uint64_t& argument : arguments) {
    if (!take(line, " 0x") || !take_number(line, 16, argument)) return std::nullopt;
  }
  const bool before = begun == Begun::perhaps_before;
  if (before) number &= ~std::uint64_t{kX32Bit};
  auto worst = Whereabouts::elsewhere;
  for (const Abi& abi : machine.abis) {
    if (!fit(abi, arguments) && !before) continue;
    const Whereabouts where = whereabouts_in(abi, number, arguments);
    if (where == Whereabouts::in_call) return where;
    if (where == Whereabouts::cloning) worst = where;
  }
  return worst;
}

}  // namespace libmseal::policy
