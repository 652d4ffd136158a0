// Proofs that the calls that are blocked by number and constant arguments are, and no others: for all numbers
// and all arguments at once, in the first filter as it is installed.
#include <cerrno>
#include <memory>
#include <vector>

#include "policy/bpf/blocked_calls.h"
#include "policy/bpf/range_program.h"
#include "policy/rules/mm_call.h"
#include "tests/proof/symbolic_run.h"
#include "tests/support/bpf_check.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

using policy::BlockedCall;
using policy::BpfProgram;
using policy::Hardening;
using Program = std::vector<sock_filter>;

constexpr std::uint32_t kNone = ~1U;  // the ABI does not have the call
constexpr std::uint32_t kNoSuchCall = SECCOMP_RET_ERRNO | ENOSYS;
constexpr std::uint32_t kAuditArm = 0x40000028;

// The rules, written down a second time. Numbers: arch/*/entry/syscalls, include/uapi/asm-generic/unistd.h.
struct Numbers {
  std::uint32_t arch;
  const policy::Abi* abi;  // whose calls the range program decides about; none of 32-bit ARM
  std::uint32_t seccomp, memfd_create, prctl, arch_prctl, uselib, set_tid_address, clone;
  std::uint32_t ptrace, process_vm_writev, userfaultfd, ioctl;
};
constexpr std::uint32_t kIoUringSetup = 425, kIoUringEnter = 426, kIoUringRegister = 427, kClone3 = 435,
                        kPidfdGetfd = 438, kProcessMadvise = 440;  // the same everywhere

struct Machine {
  policy::Machine machine;
  std::vector<Numbers> abis;
};

std::vector<Machine> all_machines() {
  return {{policy::kX86Machine,
           {{policy::kAuditX86_64, &policy::kX86Abis[0], 317, 319, 157, 158, 134, 218, 56, 101, 311, 323, 16},
            {policy::kAuditI386, &policy::kX86Abis[1], 354, 356, 172, 384, 86, 258, 120, 26, 348, 374, 54}}},
          {policy::arm64_machine(4096),
           {{policy::kAuditAarch64, &policy::kArm64Abis[0], 277, 279, 167, kNone, kNone, 96, 220, 117, 271,
             282, 29},
            {kAuditArm, nullptr, 383, 385, 172, kNone, kNone, 256, 120, 26, 377, 388, 54}}}};
}

// A call of one ABI: what it must be answered.
class Rule {
 public:
  Rule(z3::context& context, const Input& input, const z3::expr& number)
      : context_(context), input_(input), number_(number), answer_(bits(context, SECCOMP_RET_ALLOW)) {}

  void block(std::uint32_t number, std::uint32_t action) { block(number, action, context_.bool_val(true)); }
  void block(std::uint32_t number, std::uint32_t action, const z3::expr& condition) {
    if (number == kNone) return;
    answer_ = z3::ite(number_ == bits(context_, number) && condition, bits(context_, action), answer_);
  }
  // The kernel reads all of these arguments as int.
  [[nodiscard]] z3::expr is(unsigned argument, std::uint32_t value) const {
    return input_.arguments.at(argument).extract(31, 0) == bits(context_, value);
  }
  [[nodiscard]] z3::expr has_bit(unsigned argument, unsigned bit) const {
    return input_.arguments.at(argument).extract(bit, bit) == context_.bv_val(1, 1);
  }
  // -1 is how a tracer skips a call.
  void refuse_x32() {
    answer_ = z3::ite(z3::uge(number_, bits(context_, policy::kX32Bit)) && number_ != bits(context_, ~0U),
                      bits(context_, kNoSuchCall), answer_);
  }
  [[nodiscard]] const z3::expr& answer() const { return answer_; }

 private:
  z3::context& context_;
  const Input& input_;
  const z3::expr& number_;
  z3::expr answer_;
};

// Where the library is required, the supervisor looks at every image that starts.
bool tells_of_starts(const policy::Options& options) {
  return options.require != policy::Backend::automatic;
}

void block_calls(Rule& rule, const Numbers& numbers, const policy::Options& options) {
  if (tells_of_starts(options)) rule.block(numbers.set_tid_address, SECCOMP_RET_USER_NOTIF);
  rule.block(numbers.clone, SECCOMP_RET_USER_NOTIF, rule.has_bit(0, 15));
  rule.block(numbers.prctl, SECCOMP_RET_USER_NOTIF, rule.is(0, 36));
  rule.block(numbers.seccomp, SECCOMP_RET_ERRNO | EBUSY, rule.is(0, 1) && rule.has_bit(1, 3));
  const auto action = [&](BlockedCall call, std::uint32_t error) -> std::uint32_t {
    if ((options.open_calls & call) != 0) return SECCOMP_RET_ALLOW;
    return options.audit ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | error;
  };
  for (const std::uint32_t number : {kIoUringSetup, kIoUringEnter, kIoUringRegister})
    rule.block(number, action(policy::kBlockedIoUring, ENOSYS));
  if (!options.audit) rule.block(kClone3, action(policy::kBlockedClone3, ENOSYS));
  rule.block(numbers.memfd_create, action(policy::kBlockedHugetlbFiles, ENOSYS), rule.has_bit(1, 2));
  for (const std::uint32_t advice : {4U, 8U, 9U, 10U, 18U, 24U, 102U})
    rule.block(kProcessMadvise, action(policy::kBlockedProcessMadvise, EINVAL), rule.is(3, advice));
  rule.block(numbers.prctl, action(policy::kBlockedPrctlMm, EPERM), rule.is(0, 35));
  rule.block(numbers.uselib, action(policy::kBlockedUselib, ENOSYS));
  rule.block(numbers.arch_prctl, action(policy::kBlockedShadowStack, EOPNOTSUPP), rule.is(0, 0x5001));
  rule.block(numbers.arch_prctl, action(policy::kBlockedShadowStack, EPERM), rule.is(0, 0x5002));
  const bool is_of_x86 = numbers.arch == policy::kAuditX86_64 || numbers.arch == policy::kAuditI386;
  if (!is_of_x86) {
    rule.block(numbers.prctl, action(policy::kBlockedShadowStack, EINVAL),
               rule.is(0, 75) && rule.has_bit(1, 0));
  }
  rule.block(numbers.arch_prctl, action(policy::kBlockedTaggedAddresses, EPERM), rule.is(0, 0x4002));
}

void block_hardening(Rule& rule, const Numbers& numbers, unsigned what) {
  constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
  if ((what & policy::kHardenPtrace) != 0) {
    rule.block(numbers.ptrace, kRefuse);
    rule.block(kPidfdGetfd, kRefuse);
  }
  if ((what & policy::kHardenProcessVmWritev) != 0) rule.block(numbers.process_vm_writev, kRefuse);
  if ((what & policy::kHardenUserfaultfd) != 0) {
    rule.block(numbers.userfaultfd, kRefuse);
    rule.block(numbers.ioctl, kRefuse, rule.is(1, 0xAA00));
  }
}

// Whether some call is answered otherwise than it must be: `add_rules` says how. Calls of `elsewhere` are not
// looked at.
template <class AddRules>
bool errs(std::span<const sock_filter> program, const Numbers& numbers, const policy::Abi* elsewhere,
          AddRules add_rules) {
  z3::context context;
  const Input input(context);
  const z3::expr number = context.bv_const("nr", kWord);
  const auto outcomes = SymbolicRun(context, input, bits(context, numbers.arch), number).outcomes(program);
  Rule rule(context, input, number);
  add_rules(rule);
  if (numbers.arch == policy::kAuditX86_64) rule.refuse_x32();
  z3::solver solver(context);
  if (elsewhere != nullptr) {
    for (const policy::CallNumber& entry : elsewhere->calls)
      solver.add(number != bits(context, entry.number));
  }
  z3::expr wrong = context.bool_val(false);
  for (const auto& [action, condition] : outcomes)
    wrong = wrong || (condition && rule.answer() != bits(context, action));
  solver.add(wrong);
  const z3::check_result result = solver.check();
  REQUIRE(result != z3::unknown);
  return result == z3::sat;
}

// Whether some call of an ABI that the machine does not have gets past.
bool admits_foreign(std::span<const sock_filter> program, const Machine& machine) {
  z3::context context;
  const Input input(context);
  const z3::expr arch = context.bv_const("arch", kWord);
  const z3::expr number = context.bv_const("nr", kWord);
  const auto outcomes = SymbolicRun(context, input, arch, number).outcomes(program);
  z3::solver solver(context);
  for (const Numbers& numbers : machine.abis) solver.add(arch != bits(context, numbers.arch));
  z3::expr wrong = context.bool_val(false);
  for (const auto& [action, condition] : outcomes) {
    if (action != kNoSuchCall) wrong = wrong || condition;
  }
  solver.add(wrong);
  const z3::check_result result = solver.check();
  REQUIRE(result != z3::unknown);
  return result == z3::sat;
}

Program instructions_of(const BpfProgram& program) {
  REQUIRE(program.complete());
  REQUIRE(kernel_accepts(program.instructions()));
  return {program.instructions().begin(), program.instructions().end()};
}

// The first filter of a tree with a supervisor.
Program first_filter(const policy::Machine& machine, const policy::Options& options) {
  const std::vector<policy::Range> ranges{{0x10000, 0x20000}, {0x7FFF'F000'1000, 0x7FFF'F000'5000}};
  const std::vector<policy::Range> watched{{0x5555'0000'0000, 0x5555'4000'0000}};
  constexpr std::uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;
  const policy::RangeProgram what =
      policy::first_filter({ranges, ranges}, watched, {kEperm, kEperm, kEperm, kEperm, std::nullopt});
  const auto program = std::make_unique<BpfProgram>();
  write_blocked_calls(machine, options, {true, tells_of_starts(options)}, *program);
  REQUIRE(compile(machine, what, program->front(), *program));
  return instructions_of(*program);
}

Program hardening(const policy::Machine& machine, unsigned what) {
  const auto program = std::make_unique<BpfProgram>();
  write_hardening(machine, what, *program);
  return instructions_of(*program);
}

TEST_CASE("proof: the first filter blocks the calls that are not open, and no other call") {
  std::vector<policy::Options> some(4);
  some[1].audit = true;
  some[3].require = policy::Backend::supervised;
  some[2].open_calls = 2 * policy::kBlockedShadowStack - 1;
  for (unsigned call = 1; call <= policy::kBlockedShadowStack; call *= 2) {
    policy::Options options;
    options.open_calls = static_cast<std::uint16_t>(call);
    some.push_back(options);
  }
  for (const Machine& machine : all_machines()) {
    for (const policy::Options& options : some) {
      const Program program = first_filter(machine.machine, options);
      CHECK_FALSE(admits_foreign(program, machine));
      for (const Numbers& numbers : machine.abis) {
        INFO("arch " << std::hex << numbers.arch << ", open " << options.open_calls << ", audit "
                     << options.audit);
        CHECK_FALSE(
            errs(program, numbers, numbers.abi, [&](Rule& rule) { block_calls(rule, numbers, options); }));
      }
    }
  }
}

TEST_CASE("proof: hardening blocks what is asked for, and no other call") {
  for (const Machine& machine : all_machines()) {
    for (unsigned what = 0; what < policy::kHardenProcMem; ++what) {
      const Program program = hardening(machine.machine, what);
      CHECK_FALSE(admits_foreign(program, machine));
      for (const Numbers& numbers : machine.abis) {
        INFO("arch " << std::hex << numbers.arch << ", harden " << what);
        CHECK_FALSE(
            errs(program, numbers, nullptr, [&](Rule& rule) { block_hardening(rule, numbers, what); }));
      }
    }
  }
}

// What a broken table would have: a number, an argument or an answer that is another one.
bool break_instruction(sock_filter& one) {
  switch (one.code) {
    case BPF_RET | BPF_K:
      one.k ^= 1;
      return true;
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_ALU | BPF_AND | BPF_K:
      one.k ^= 0x8000;
      return true;
    case BPF_LD | BPF_W | BPF_ABS:
      if (one.k < offsetof(seccomp_data, args) || one.k % 8 != 0) return false;  // upper halves do not matter
      one.k ^= 8;
      return true;
    default:
      return false;
  }
}

TEST_CASE("proof: every broken instruction for blocked calls is found out") {
  policy::Options options;
  options.require = policy::Backend::supervised;
  for (const Machine& machine : all_machines()) {
    const auto is_wrong = [&](const Program& program) {
      bool wrong = admits_foreign(program, machine);
      for (const Numbers& numbers : machine.abis) {
        wrong = wrong ||
                errs(program, numbers, nullptr, [&](Rule& rule) { block_calls(rule, numbers, options); });
      }
      return wrong;
    };
    const auto written = std::make_unique<BpfProgram>();
    write_blocked_calls(machine.machine, options, {true, true}, *written);
    const Program right = instructions_of(*written);
    REQUIRE_FALSE(is_wrong(right));
    std::size_t broken_ones = 0;
    for (std::size_t at = 0; at < right.size(); ++at) {
      Program broken = right;
      if (!break_instruction(broken[at])) continue;
      ++broken_ones;
      INFO("arch " << std::hex << machine.abis[0].arch << std::dec << ", instruction " << at);
      CHECK(is_wrong(broken));
    }
    CHECK(broken_ones > right.size() / 2);
  }
}

}  // namespace
}  // namespace libmseal::tests
