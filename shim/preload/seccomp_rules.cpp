#include "shim/preload/seccomp_rules.h"

#include <fcntl.h>

#include <array>
#include <cerrno>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

// The finished program, by way of a pipe: libseccomp 2.5 exports to descriptors only, and what is written to
// a file counts against the program's limit on file sizes (ulimit -f), whose signal kills.
long export_to(scmp_filter_ctx context, policy::BpfProgram& program) {
  std::array<int, 2> ends{};
  const long made = raw_syscall(__NR_pipe2, ends.data(), O_CLOEXEC | O_NONBLOCK);
  if (failed(made)) return made;
  std::array<sock_filter, 1024> instructions;
  long result = seccomp_export_bpf(context, ends[1]);
  if (result == 0) result = raw_syscall(__NR_read, ends[0], instructions.data(), sizeof instructions);
  for (const int end : ends) (void)raw_syscall(__NR_close, end);
  if (result < 0) return result;
  if (static_cast<std::size_t>(result) == sizeof instructions) return -E2BIG;
  program.prepend({instructions.data(), static_cast<std::size_t>(result) / sizeof(sock_filter)});
  return program.complete() ? 0 : -ENOMEM;
}

}  // namespace

SeccompRules::SeccompRules() : context_(seccomp_init(SCMP_ACT_ALLOW)) {
  if (context_ == nullptr) result_ = -ENOMEM;
  if (result_ == 0) result_ = seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree of numbers
  if (result_ == 0) result_ = seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    // Programs of the processor's other ABI may be started from this one.
#ifdef __x86_64__
  constexpr std::uint32_t kOther = SCMP_ARCH_X86;
#else
  constexpr std::uint32_t kOther = SCMP_ARCH_ARM;
#endif
  if (result_ == 0) result_ = seccomp_arch_add(context_, kOther);
}

SeccompRules::~SeccompRules() {
  if (context_ != nullptr) seccomp_release(context_);
}

void SeccompRules::add(std::uint32_t action, int number, std::initializer_list<scmp_arg_cmp> arguments) {
  if (result_ != 0) return;
  result_ = seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(arguments.size()),
                                   arguments.begin());
}

void SeccompRules::refuse(int number, unsigned error, std::initializer_list<scmp_arg_cmp> arguments) {
  add(SCMP_ACT_ERRNO(error), number, arguments);
}

void SeccompRules::notify(int number, std::initializer_list<scmp_arg_cmp> arguments) {
  add(SCMP_ACT_NOTIFY, number, arguments);
}

long SeccompRules::write(policy::BpfProgram& program) {
  if (result_ == 0) result_ = export_to(context_, program);
  return result_;
}

}  // namespace libmseal::shim
