#include "shim/preload/state/filter_mark.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>

#include "policy/bpf/answer_filter.h"
#include "policy/rules/mm_call.h"
#include "shim/common/machine.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

// The mark: an mmap of no bytes, for which the kernel answers EINVAL. Only its hint is unusual. The answer is
// kMarked and the Purpose bits, as an errno.
constexpr std::uint64_t kMarkHint = 0x6D61'726B'0000;
constexpr policy::Arguments kMarkCall{kMarkHint, 0, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ULL, 0};
constexpr std::uint16_t kMarked = 0x800;

}  // namespace

std::uint16_t read_mark() {
  const long answer = raw_syscall(__NR_mmap, kMarkCall);
  return answer <= -kMarked && answer >= -(kMarked | kAllPurposes)
             ? static_cast<std::uint16_t>(-answer & kAllPurposes)
             : std::uint16_t{0};
}

long install_mark(std::uint16_t purposes, unsigned long flags_of_program) {
  auto mark = policy::answer_filter({{policy::kArchField, this_machine().abis[0].audit_arch},
                                     {policy::kNumberField, __NR_mmap},
                                     {policy::low_of(0), policy::low(kMarkHint)},
                                     {policy::high_of(0), policy::high(kMarkHint)},
                                     {policy::low_of(1), 0}},
                                    SECCOMP_RET_ERRNO | kMarked | purposes);
  const sock_fprog program{static_cast<unsigned short>(mark.size()), mark.data()};
  const unsigned long threads = flags_of_program & SECCOMP_FILTER_FLAG_TSYNC;
  return raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, threads | SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                     &program);
}

}  // namespace libmseal::shim
