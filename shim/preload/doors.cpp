#include "shim/preload/doors.h"

#include <sys/prctl.h>

#include <cerrno>

#include "policy/mm_call.h"
#include "shim/preload/seccomp_rules.h"

namespace libmseal::shim {
namespace {

constexpr std::uint64_t kNewListener = SECCOMP_FILTER_FLAG_NEW_LISTENER;
constexpr std::uint64_t kHugetlbFile = 0x0004;  // MFD_HUGETLB
#ifdef __x86_64__
constexpr std::uint64_t kSetTaggedAddresses = 0x4002;  // ARCH_ENABLE_TAGGED_ADDR, in kernel headers since 6.4
constexpr std::uint64_t kEnableShadowStack = 0x5001;   // ARCH_SHSTK_ENABLE and _DISABLE, since 6.6
constexpr std::uint64_t kDisableShadowStack = 0x5002;
#endif

}  // namespace

long write_doors(const policy::Options& options, bool supervised, policy::BpfProgram& program) {
  const auto closed = [&](policy::Door door) { return (options.open_doors & door) == 0; };
  SeccompRules rules;
  rules.refuse(SCMP_SYS(seccomp), EBUSY,
               {SCMP_A0(SCMP_CMP_MASKED_EQ, kLowWord, SECCOMP_SET_MODE_FILTER),
                SCMP_A1(SCMP_CMP_MASKED_EQ, kNewListener, kNewListener)});
  // The dynamic linker makes this call once in a fresh image, when it has mapped the objects. Where the
  // library is required, the supervisor looks whether it could be.
  if (supervised && options.require != policy::Backend::automatic) rules.notify(SCMP_SYS(set_tid_address));
  // An audit refuses nothing, but wants to know.
  const auto close = [&](int number, unsigned error, std::initializer_list<scmp_arg_cmp> arguments = {}) {
    options.audit ? rules.notify(number, arguments) : rules.refuse(number, error, arguments);
  };
  if (closed(policy::kDoorIoUring)) {
    close(SCMP_SYS(io_uring_setup), ENOSYS);
    close(SCMP_SYS(io_uring_enter), ENOSYS);  // of a ring that came from elsewhere
    close(SCMP_SYS(io_uring_register), ENOSYS);
  }
  if (closed(policy::kDoorHugetlbFiles))
    close(SCMP_SYS(memfd_create), ENOSYS, {SCMP_A1(SCMP_CMP_MASKED_EQ, kHugetlbFile, kHugetlbFile)});
  if (closed(policy::kDoorClone3) && !options.audit) rules.refuse(SCMP_SYS(clone3), ENOSYS);
  if (closed(policy::kDoorProcessMadvise)) {
    for (const std::uint32_t advice : policy::kDiscardingAdvice) {
      close(SCMP_SYS(process_madvise), EINVAL, {SCMP_A3(SCMP_CMP_MASKED_EQ, kLowWord, advice)});
    }
  }
  if (closed(policy::kDoorPrctlMm)) {
    close(SCMP_SYS(prctl), EPERM, {SCMP_A0(SCMP_CMP_MASKED_EQ, kLowWord, PR_SET_MM)});
  }
#ifdef __x86_64__
  if (closed(policy::kDoorUselib)) close(SCMP_SYS(uselib), ENOSYS);
  if (closed(policy::kDoorShadowStack)) {
    // The kernel unmaps a shadow stack where it once put it, whatever lies there by then.
    close(SCMP_SYS(arch_prctl), EOPNOTSUPP, {SCMP_A0(SCMP_CMP_MASKED_EQ, kLowWord, kEnableShadowStack)});
    close(SCMP_SYS(arch_prctl), EPERM, {SCMP_A0(SCMP_CMP_MASKED_EQ, kLowWord, kDisableShadowStack)});
  }
  if (closed(policy::kDoorTaggedAddresses)) {
    close(SCMP_SYS(arch_prctl), EPERM, {SCMP_A0(SCMP_CMP_MASKED_EQ, kLowWord, kSetTaggedAddresses)});
  }
#endif
  return rules.write(program);
}

}  // namespace libmseal::shim
