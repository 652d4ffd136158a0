// What is installed, against libseccomp: the tables that the build made, filled in for some options, decide
// as what libseccomp compiles for these very options now.
#include "policy/bpf/blocked_calls.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "policy/bpf/evaluator.h"
#include "policy/bpf/libseccomp_rules.h"
#include "policy/parsers/syscall_line.h"
#include "policy/rules/blocked_call.h"
#include "tests/support/bpf_check.h"
#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

using Program = std::vector<sock_filter>;

struct Tested {
  Machine machine;
  SeccompAbis abis;
};
const Tested kMachines[] = {{kX86Machine, kSeccompX86}, {arm64_machine(4096), kSeccompArm64}};

constexpr unsigned kAllCalls = 2 * kBlockedShadowStack - 1;
constexpr unsigned kAllHardening = kHardenPtrace | kHardenProcessVmWritev | kHardenUserfaultfd;

Program blocked_calls(const Machine& machine, const Options& options, const NotifiedCalls& notified = {}) {
  const auto program = std::make_unique<BpfProgram>();
  write_blocked_calls(machine, options, notified, *program);
  REQUIRE(program->complete());
  return {program->instructions().begin(), program->instructions().end()};
}

Program hardening(const Machine& machine, unsigned what) {
  const auto program = std::make_unique<BpfProgram>();
  write_hardening(machine, what, *program);
  REQUIRE(program->complete());
  return {program->instructions().begin(), program->instructions().end()};
}

// The same by libseccomp.
Program blocked_calls_by_libseccomp(const SeccompAbis& abis, const Options& options,
                                    const NotifiedCalls& notified) {
  return compile_rules(abis, blocked_call_rules(abis), [&](const SeccompRule& rule) -> std::uint32_t {
    if (rule.bit == 0) return SCMP_ACT_ERRNO(rule.error);
    if (rule.bit == kProgramStart) return notified.starts ? SCMP_ACT_TRACE(0) : SCMP_ACT_ALLOW;
    if (rule.bit == kLineage) return notified.lineage ? SCMP_ACT_TRACE(0) : SCMP_ACT_ALLOW;
    if ((rule.bit & options.open_calls) != 0) return SCMP_ACT_ALLOW;
    if (options.audit) return rule.bit == kBlockedClone3 ? SCMP_ACT_ALLOW : SCMP_ACT_TRACE(0);
    return SCMP_ACT_ERRNO(rule.error);
  });
}

Program hardening_by_libseccomp(const SeccompAbis& abis, unsigned what) {
  return compile_rules(abis, hardening_rules(), [&](const SeccompRule& rule) -> std::uint32_t {
    return (rule.bit & what) != 0 ? SCMP_ACT_ERRNO(rule.error) : SCMP_ACT_ALLOW;
  });
}

// libseccomp compiles notifications only where the kernel has them: the oracle has an action of tracers
// there.
std::uint32_t oracle(const Program& program, const seccomp_data& data) {
  const std::uint32_t action = evaluate(program, data);
  return action == SECCOMP_RET_TRACE ? SECCOMP_RET_USER_NOTIF : action;
}

// Every number that a kernel has or will have soon, some of x32, and the ends of all numbers.
std::vector<std::uint32_t> all_numbers() {
  std::vector<std::uint32_t> numbers{kX32Bit - 1, kX32Bit,          kX32Bit + 157, kX32Bit + 425,
                                     ~0U >> 1,    (~0U >> 1) + 157, ~1U,           ~0U};
  for (std::uint32_t number = 0; number < 600; ++number) numbers.push_back(number);
  return numbers;
}

// Every number that a rule compares with, its neighbours, and the same in the upper half.
std::vector<std::uint64_t> all_arguments(const std::vector<SeccompRule>& rules) {
  std::vector<std::uint64_t> arguments{0, 1, ~0ULL};
  for (const SeccompRule& rule : rules) {
    for (const scmp_arg_cmp& argument : rule.arguments) {
      const std::uint64_t value = argument.datum_b;
      arguments.insert(arguments.end(), {value, value + 1, value << 32, value | 1ULL << 32});
    }
  }
  return arguments;
}

void compare(const Tested& tested, const Program& program, const Program& right,
             const std::vector<SeccompRule>& rules) {
  static const auto kNumbers = all_numbers();
  const auto arguments = all_arguments(rules);
  std::mt19937_64 random(1);
  REQUIRE(tests::kernel_accepts(program));
  bool same = true;
  for (const std::uint32_t arch : {tested.abis[0], tested.abis[1], 0U}) {
    for (const std::uint32_t number : kNumbers) {
      for (const std::uint64_t argument : arguments) {
        seccomp_data data{static_cast<int>(number), arch, 0, {}};
        // Rules look at few arguments: all the same, or each another one.
        for (auto& one : data.args)
          one = random() % 4 != 0 ? argument : arguments[random() % arguments.size()];
        same = same && evaluate(program, data) == oracle(right, data);
      }
    }
  }
  CHECK(same);
}

// None, all, each alone, all but each, and some at random.
std::vector<unsigned> some_of(unsigned all, unsigned how_many_at_random) {
  std::vector<unsigned> sets{0, all};
  for (unsigned bit = 1; bit <= all; bit *= 2) {
    if ((bit & all) != 0) sets.insert(sets.end(), {bit, all & ~bit});
  }
  std::mt19937 random(2);
  for (unsigned count = 0; count < how_many_at_random; ++count)
    sets.push_back(static_cast<unsigned>(random()) & all);
  return sets;
}

TEST_CASE("the blocked calls, whichever are open, are those that libseccomp compiles") {
  for (const Tested& tested : kMachines) {
    const std::size_t all_closed = blocked_calls_by_libseccomp(tested.abis, {}, {true, true}).size();
    for (const unsigned open : some_of(kAllCalls, 4)) {
      for (const bool audit : {false, true}) {
        Options options;
        options.open_calls = static_cast<std::uint16_t>(open);
        options.audit = audit;
        const NotifiedCalls notified{open % 2 == 0, open % 3 == 0};
        INFO("arch " << std::hex << tested.abis[0] << ", open " << open << ", audit " << audit
                     << ", tells of lineage " << notified.lineage << ", of starts " << notified.starts);
        const Program program = blocked_calls(tested.machine, options, notified);
        CHECK(program.size() <= all_closed);
        compare(tested, program, blocked_calls_by_libseccomp(tested.abis, options, notified),
                blocked_call_rules(tested.abis));
      }
    }
  }
}

// The arguments of which the rule is about.
Arguments arguments_of(const SeccompRule& rule) {
  Arguments arguments{};
  for (const scmp_arg_cmp& one : rule.arguments) arguments[one.arg] = one.datum_b;
  return arguments;
}

TEST_CASE("what an audit reports of a blocked call names it, and the option that allows it") {
  for (const Tested& tested : kMachines) {
    for (const SeccompRule& rule : blocked_call_rules(tested.abis)) {
      if ((rule.bit & kAllCalls) == 0 || rule.bit == kBlockedClone3) continue;
      const std::unique_ptr<char, void (*)(void*)> name(
          seccomp_syscall_resolve_num_arch(seccomp_arch_native(), rule.number), std::free);
      REQUIRE(name != nullptr);
      for (const Abi& abi : tested.machine.abis) {
        const bool is_i386 = abi.audit_arch == kAuditI386;
        const std::uint32_t arch = is_i386 ? SCMP_ARCH_X86 : tested.abis[0];
        const int number = seccomp_syscall_resolve_name_arch(arch, name.get());
        INFO(name.get() << " of " << std::hex << arch);
        REQUIRE(number >= 0);
        const auto reported =
            name_of_blocked_call(abi, static_cast<std::uint32_t>(number), arguments_of(rule));
        CHECK(reported.substr(0, reported.find('(')) == name.get());
        Options options;
        parse_options(item_that_opens(reported), options, [](const OptionError&) { CHECK(false); });
        CHECK(options.open_calls == rule.bit);
      }
    }
  }
}

TEST_CASE("hardening, whatever of it, is what libseccomp compiles") {
  for (const Tested& tested : kMachines) {
    const std::size_t everything = hardening_by_libseccomp(tested.abis, kAllHardening).size();
    for (const unsigned what : some_of(kAllHardening, 0)) {
      INFO("arch " << std::hex << tested.abis[0] << ", harden " << what);
      const Program program = hardening(tested.machine, what);
      CHECK(program.size() <= everything);
      compare(tested, program, hardening_by_libseccomp(tested.abis, what), hardening_rules());
    }
  }
}

TEST_CASE("every rule has a number in every native ABI, and leaves its placeholder") {
  for (const Tested& tested : kMachines) {
    Options options;
    for (const sock_filter& one : blocked_calls(tested.machine, options)) {
      if (one.code == (BPF_RET | BPF_K)) CHECK_FALSE(Placeholder::is_one(one.k));
    }
    for (const auto& rules : {blocked_call_rules(tested.abis), hardening_rules()}) {
      for (const SeccompRule& rule : rules) {
        const std::unique_ptr<char, void (*)(void*)> name(
            seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, rule.number), std::free);
        REQUIRE(name);
        INFO(name.get());
        CHECK(seccomp_syscall_resolve_name_arch(tested.abis[0], name.get()) >= 0);
      }
    }
  }
}

// Of a call that meets the rule, as /proc/PID/syscall shows it.
std::string line_of(int number, const SeccompRule& rule) {
  std::array<std::uint64_t, 8> registers{};
  for (const scmp_arg_cmp& argument : rule.arguments) registers[argument.arg] = argument.datum_b;
  std::ostringstream line;
  line << number << std::hex;
  for (const std::uint64_t one : registers) line << " 0x" << one;
  line << "\n";
  return line.str();
}

TEST_CASE("a blocked call that has begun before it was blocked is seen where it sleeps") {
  for (const Tested& tested : kMachines) {
    for (std::size_t abi = 0; abi < tested.machine.abis.size(); ++abi) {
      for (const SeccompRule& rule : blocked_call_rules(tested.abis)) {
        if (rule.bit == kProgramStart || rule.bit == kLineage) continue;  // which is not blocked
        if (rule.number == SCMP_SYS(io_uring_enter) || rule.number == SCMP_SYS(io_uring_register))
          continue;  // of a ring that is there, and prevents the seal by that
        const std::unique_ptr<char, void (*)(void*)> name(
            seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, rule.number), std::free);
        REQUIRE(name);
        const std::string line =
            line_of(seccomp_syscall_resolve_name_arch(tested.abis[abi], name.get()), rule);
        INFO(name.get() << ": " << line);
        const auto where = parse_syscall_line(tested.machine, line);
        CHECK((where == Whereabouts::in_call || where == Whereabouts::cloning));
      }
    }
  }
}

}  // namespace
}  // namespace libmseal::policy
