#include "shim/preload/doors.h"

#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>

#include "policy/mm_call.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/private_heap.h"

namespace libmseal::shim {
namespace {

constexpr std::uint64_t kLowWord = 0xFFFFFFFF;  // the kernel reads these arguments as int
constexpr std::uint64_t kNewListener = SECCOMP_FILTER_FLAG_NEW_LISTENER;
constexpr std::uint64_t kSetTaggedAddresses = 0x4002;  // ARCH_ENABLE_TAGGED_ADDR, in kernel headers since 6.4

class Rules {
 public:
  explicit Rules(scmp_filter_ctx context) : context_(context) {}

  void add(unsigned error, int number, std::initializer_list<scmp_arg_cmp> arguments) {
    if (result_ != 0) return;
    result_ = seccomp_rule_add_array(context_, SCMP_ACT_ERRNO(error), number,
                                     static_cast<unsigned>(arguments.size()), arguments.begin());
  }

  [[nodiscard]] int result() const { return result_; }

 private:
  scmp_filter_ctx context_;
  int result_ = 0;
};

int add_rules(scmp_filter_ctx context, const policy::Options& options) {
  const std::uint8_t open = options.open_doors;
  Rules rules(context);
  rules.add(EBUSY, SCMP_SYS(seccomp),
            {SCMP_A0(SCMP_CMP_MASKED_EQ, kLowWord, SECCOMP_SET_MODE_FILTER),
             SCMP_A1(SCMP_CMP_MASKED_EQ, kNewListener, kNewListener)});
  if ((open & policy::kDoorIoUring) == 0) rules.add(ENOSYS, SCMP_SYS(io_uring_setup), {});
  if ((open & policy::kDoorClone3) == 0) rules.add(ENOSYS, SCMP_SYS(clone3), {});
  if ((open & policy::kDoorProcessMadvise) == 0) {
    for (const std::uint32_t advice : policy::kDiscardingAdvice) {
      rules.add(EINVAL, SCMP_SYS(process_madvise), {SCMP_A3(SCMP_CMP_MASKED_EQ, kLowWord, advice)});
    }
  }
  if ((open & policy::kDoorPrctlMm) == 0) {
    rules.add(EPERM, SCMP_SYS(prctl), {SCMP_A0(SCMP_CMP_MASKED_EQ, kLowWord, PR_SET_MM)});
  }
#ifdef __x86_64__
  if ((open & policy::kDoorTaggedAddresses) == 0) {
    rules.add(EPERM, SCMP_SYS(arch_prctl), {SCMP_A0(SCMP_CMP_MASKED_EQ, kLowWord, kSetTaggedAddresses)});
  }
#endif
  if ((options.harden & policy::kHardenPtrace) != 0) rules.add(EPERM, SCMP_SYS(ptrace), {});
  if ((options.harden & policy::kHardenProcessVmWritev) != 0)
    rules.add(EPERM, SCMP_SYS(process_vm_writev), {});
  if ((options.harden & policy::kHardenUserfaultfd) != 0) rules.add(EPERM, SCMP_SYS(userfaultfd), {});
  return rules.result();
}

// The finished program, by way of a memory file: libseccomp 2.5 exports to descriptors only.
long export_to(scmp_filter_ctx context, policy::BpfProgram& program) {
  const long file = raw_syscall(__NR_memfd_create, "libmseal-doors", MFD_CLOEXEC);
  if (failed(file)) return file;
  std::array<sock_filter, 1024> instructions;
  long result = seccomp_export_bpf(context, static_cast<int>(file));
  if (result == 0) result = raw_syscall(__NR_pread64, file, instructions.data(), sizeof instructions, 0);
  (void)raw_syscall(__NR_close, file);
  if (result < 0) return result;
  if (static_cast<std::size_t>(result) == sizeof instructions) return -E2BIG;
  program.prepend({instructions.data(), static_cast<std::size_t>(result) / sizeof(sock_filter)});
  return program.complete() ? 0 : -ENOMEM;
}

}  // namespace

long write_doors(const policy::Options& options, policy::BpfProgram& program) {
  const PrivateHeap heap;
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
  if (context == nullptr) return -ENOMEM;
  long result = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a binary tree of numbers
  if (result == 0) result = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
#ifdef __x86_64__
  if (result == 0) result = seccomp_arch_add(context, SCMP_ARCH_X86);
#endif
  if (result == 0) result = add_rules(context, options);
  if (result == 0) result = export_to(context, program);
  seccomp_release(context);
  return result;
}

}  // namespace libmseal::shim
