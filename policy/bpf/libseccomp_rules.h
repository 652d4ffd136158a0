// The rules of blocked_calls.h for libseccomp, and the code that compiles them. Used only by the build and by
// tests: libmseal.so contains the compiled result.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/prctl.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy/bpf/blocked_calls.h"
#include "policy/configuration/options.h"
#include "policy/rules/abi.h"
#include "policy/rules/mm_call.h"
#include "policy/rules/parent_changes.h"

namespace libmseal::policy {

struct SeccompRule {
  // BlockedCall, Hardening, kProgramStart or kLineage; 0: the call is refused whatever the options say.
  std::uint32_t bit;
  std::uint32_t error;
  int number;  // in the ABI of the build machine: libseccomp translates it
  std::vector<scmp_arg_cmp> arguments{};
};

// The native ABI of a machine and its 32-bit ABI, whose programs may be started from native ones.
using SeccompAbis = std::array<std::uint32_t, 2>;
inline constexpr SeccompAbis kSeccompX86{SCMP_ARCH_X86_64, SCMP_ARCH_X86};
inline constexpr SeccompAbis kSeccompArm64{SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};

// An argument that the kernel reads as int.
inline scmp_arg_cmp is_int(unsigned argument, std::uint32_t value) {
  return SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, 0xFFFF'FFFF, value);
}
inline scmp_arg_cmp has_bit(unsigned argument, std::uint32_t bit) {
  return SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, bit, bit);
}

inline std::vector<SeccompRule> blocked_call_rules(const SeccompAbis& abis) {
  std::vector<SeccompRule> rules{
      {0,
       EBUSY,
       SCMP_SYS(seccomp),
       {is_int(0, SECCOMP_SET_MODE_FILTER), has_bit(1, SECCOMP_FILTER_FLAG_NEW_LISTENER)}},
      {kBlockedIoUring, ENOSYS, SCMP_SYS(io_uring_setup)},
      {kBlockedIoUring, ENOSYS, SCMP_SYS(io_uring_enter)},  // on a ring received from another process
      {kBlockedIoUring, ENOSYS, SCMP_SYS(io_uring_register)},
      {kBlockedHugetlbFiles, ENOSYS, SCMP_SYS(memfd_create), {has_bit(1, kMemfdHugetlb)}},
      {kBlockedClone3, ENOSYS, SCMP_SYS(clone3)},
      {kBlockedPrctlMm, EPERM, SCMP_SYS(prctl), {is_int(0, PR_SET_MM)}},
      {kLineage, 0, SCMP_SYS(prctl), {is_int(0, kSetChildSubreaper)}},
      {kLineage, 0, SCMP_SYS(clone), {has_bit(0, kCloneParent)}},
      {kProgramStart, 0, SCMP_SYS(set_tid_address)},
  };
  for (const std::uint32_t advice : kDiscardingAdvice)
    rules.push_back({kBlockedProcessMadvise, EINVAL, SCMP_SYS(process_madvise), {is_int(3, advice)}});
  // When a thread ends, the kernel unmaps whatever lies at the original address of its shadow stack
  // (arch/arm64/mm/gcs.c, gcs_free; arch/x86/kernel/shstk.c, shstk_free).
  if (abis == kSeccompArm64) {
    rules.push_back({kBlockedShadowStack,
                     EINVAL,
                     SCMP_SYS(prctl),
                     {is_int(0, kShadowStackStatus), has_bit(1, kShadowStackEnable)}});
  }
  if (abis == kSeccompX86) {
    rules.push_back({kBlockedUselib, ENOSYS, SCMP_SYS(uselib)});
    rules.push_back({kBlockedShadowStack, EOPNOTSUPP, SCMP_SYS(arch_prctl), {is_int(0, kArchShadowStackOn)}});
    rules.push_back({kBlockedShadowStack, EPERM, SCMP_SYS(arch_prctl), {is_int(0, kArchShadowStackOff)}});
    rules.push_back(
        {kBlockedTaggedAddresses, EPERM, SCMP_SYS(arch_prctl), {is_int(0, kArchTaggedAddresses)}});
  }
  return rules;
}

inline std::vector<SeccompRule> hardening_rules() {
  return {
      {kHardenPtrace, EPERM, SCMP_SYS(ptrace)},
      {kHardenPtrace, EPERM, SCMP_SYS(pidfd_getfd)},  // needs the same rights, and could take the listener
      {kHardenProcessVmWritev, EPERM, SCMP_SYS(process_vm_writev)},
      {kHardenUserfaultfd, EPERM, SCMP_SYS(userfaultfd)},
      {kHardenUserfaultfd, EPERM, SCMP_SYS(ioctl), {is_int(1, kNewUserfault)}},
  };
}

inline std::vector<sock_filter> export_bpf(scmp_filter_ctx context) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  if (!file) throw std::runtime_error("no temporary file");
  if (const int error = seccomp_export_bpf(context, fileno(file.get())); error != 0)
    throw std::runtime_error(std::string("seccomp_export_bpf: ") + std::strerror(-error));
  std::rewind(file.get());
  std::vector<sock_filter> program;
  for (sock_filter one{}; std::fread(&one, sizeof one, 1, file.get()) == 1;) program.push_back(one);
  return program;
}

// Compiles the rules; `action_of` gives the action of a rule.
template <class ActionOf>
std::vector<sock_filter> compile_rules(const SeccompAbis& abis, const std::vector<SeccompRule>& rules,
                                       ActionOf action_of) {
  const auto must = [](int result, const char* what) {
    if (result != 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(-result));
  };
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> context(seccomp_init(SCMP_ACT_ALLOW),
                                                                 seccomp_release);
  if (!context) throw std::runtime_error("seccomp_init");
  for (const std::uint32_t abi : abis) {
    if (abi != seccomp_arch_native()) must(seccomp_arch_add(context.get(), abi), "seccomp_arch_add");
  }
  if (abis[0] != seccomp_arch_native() && abis[1] != seccomp_arch_native())
    must(seccomp_arch_remove(context.get(), SCMP_ARCH_NATIVE), "seccomp_arch_remove");
  must(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "a tree of numbers");
  must(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)), "a foreign ABI");
  for (const SeccompRule& rule : rules) {
    const std::uint32_t action = action_of(rule);
    if (action == SCMP_ACT_ALLOW) continue;
    must(seccomp_rule_add_array(context.get(), action, rule.number,
                                static_cast<unsigned>(rule.arguments.size()), rule.arguments.data()),
         "seccomp_rule_add_array");
  }
  return export_bpf(context.get());
}

}  // namespace libmseal::policy
