// The compiled programs, run in the evaluator, against the verdict: the rule and its translation must agree.
#include "policy/range_program.h"

#include <cerrno>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "policy/verdict.h"
#include "tests/support/bpf_evaluator.h"
#include "tests/support/catch.h"

namespace libmseal {
namespace {

using policy::Arguments;
using policy::BpfProgram;
using policy::MmCall;
using policy::Range;
using policy::Seal;
using policy::Verdict;
using tests::evaluate;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}

// Addresses cluster where mistakes do: equal upper words, both sides of a 4 GiB line, the ends of the space.
std::uint64_t random_page(Random& random) {
  static constexpr std::uint64_t kBases[] = {0,
                                             0x10000,
                                             0xFFFF0000,
                                             0x100000000,
                                             0x5555'5555'4000,
                                             0x5555'FFFF'F000,
                                             0x7FFF'F7FF'0000,
                                             0x7FFF'0000'0000,
                                             0x7FFF'FFFF'0000};
  const std::uint64_t base = kBases[below(random, std::size(kBases))];
  return (base + below(random, 64) * kPage) & ~(kPage - 1);
}

struct Case {
  std::vector<Seal> seals;
  std::vector<Range> ranges;
  std::vector<Range> contents;
  Range heap;
};

void append(std::vector<Range>& ranges, const Range& range) {
  if (!ranges.empty() && ranges.back().end == range.start) {
    ranges.back().end = range.end;
  } else {
    ranges.push_back(range);
  }
}

Case random_case(Random& random, std::size_t count) {
  Case one;
  for (std::size_t i = 0; i < count; ++i) {
    const Seal seal{Range::of(random_page(random), (1 + below(random, 5)) * kPage), below(random, 2) == 0, 0};
    REQUIRE(policy::add_seal(one.seals, seal, 4096));
  }
  for (const Seal& seal : one.seals) {
    append(one.ranges, seal.range);
    if (seal.discard_protected) append(one.contents, seal.range);
  }
  if (below(random, 2) == 0) {
    const std::uint64_t start = random_page(random);
    one.heap = {start, start + (1 + below(random, 40)) * kPage};
  }
  return one;
}

std::uint64_t random_address(Random& random, const Case& one) {
  std::uint64_t address = random_page(random);
  if (!one.ranges.empty() && below(random, 4) != 0) {
    const Range& range = one.ranges[below(random, one.ranges.size())];
    address = (below(random, 2) == 0 ? range.start : range.end) + (below(random, 9) - 4) * kPage;
  }
  switch (below(random, 16)) {
    case 0:
      return address + 1 + below(random, kPage - 1);
    case 1:
      return address | (below(random, 64) << 57);
    case 2:
      return random();
    case 3:
      return -below(random, 4) * kPage;
    default:
      return address;
  }
}

std::uint64_t random_length(Random& random) {
  switch (below(random, 12)) {
    case 0:
      return 0;
    case 1:
      return random();
    case 2:
      return -below(random, 3 * kPage);
    case 3:
      return 0x1'0000'0000 + below(random, 4) * kPage;
    case 4:
      return 0xFFFF'F000 + below(random, 2 * kPage);
    case 5:
      return below(random, 0x8000'0000'0000);
    case 6:
      return 1;
    default:
      return below(random, 10 * kPage);
  }
}

Arguments random_arguments(Random& random, const Case& one, policy::Call call) {
  const auto garbage = [&] { return below(random, 4) == 0 ? random() << 32 : 0; };
  Arguments a{};
  for (auto& argument : a) argument = below(random, 3) == 0 ? random() : below(random, 64);
  a[0] = random_address(random, one);
  a[1] = random_length(random);
  switch (call) {
    case policy::Call::mmap:
      a[3] = (below(random, 2) * 0x10 + below(random, 8) / 7 * 0x100000 + 0x22) | garbage();
      break;
    case policy::Call::mprotect:
      a[2] = below(random, 8);
      break;
    case policy::Call::mremap:
      a[3] = below(random, 8) | garbage();
      a[2] = random_length(random);
      a[4] = random_address(random, one);
      break;
    case policy::Call::madvise:
      a[2] = below(random, 110) | garbage();
      break;
    default:
      break;
  }
  return a;
}

seccomp_data data_of(const policy::Abi& abi, std::uint32_t number, const Arguments& arguments) {
  seccomp_data data{};
  data.nr = static_cast<int>(number);
  data.arch = abi.audit_arch;
  for (std::size_t i = 0; i < arguments.size(); ++i) data.args[i] = arguments[i];
  return data;
}

std::uint32_t action_of(const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::allow:
      return SECCOMP_RET_ALLOW;
    case Verdict::Kind::refuse:
      return kRefuse;
    case Verdict::Kind::answer:
      return SECCOMP_RET_ERRNO | 0;
  }
  return 0;
}

struct Sample {
  const policy::Abi* abi;
  std::uint32_t number;
  Arguments arguments;
  MmCall call;
};

Sample random_sample(Random& random, const policy::Machine& machine, const Case& one) {
  const policy::Abi& abi = machine.abis[below(random, machine.abis.size())];
  const policy::CallNumber& entry = abi.calls[below(random, abi.calls.size())];
  Arguments arguments = random_arguments(random, one, entry.call);
  if (&abi == &policy::kX86Abis[1]) {
    for (auto& argument : arguments) argument &= 0xFFFF'FFFF;
  }
  return {&abi, entry.number, arguments, decode(machine, abi, entry.number, arguments)};
}

std::string describe(const Sample& sample) {
  std::ostringstream text;
  text << std::hex << "arch " << sample.abi->audit_arch << std::dec << " nr " << sample.number << std::hex;
  for (const std::uint64_t argument : sample.arguments) text << " 0x" << argument;
  return text.str();
}

const policy::Machine kMachines[] = {policy::kX86Machine, policy::arm64_machine(kPage),
                                     policy::arm64_machine(4 * kPage), policy::arm64_machine(16 * kPage)};

TEST_CASE("an exact program refuses what the verdict refuses, and nothing else") {
  Random random(20240610);
  auto program = std::make_unique<BpfProgram>();
  std::size_t calls = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 1500; ++round) {
    const policy::Machine& machine = kMachines[round % std::size(kMachines)];
    const Case one = random_case(random, round % 10 == 0 ? below(random, 64) : below(random, 6));
    policy::RangeProgram what;
    what.ranges = one.ranges;
    what.contents = one.contents;
    what.refused_breaks = refused_breaks(one.seals, one.heap, kPage);
    what.hit = kRefuse;
    what.rare = round % 3 == 0 ? 0 : SECCOMP_RET_ALLOW;
    program->clear();
    const auto allow = program->ret(SECCOMP_RET_ALLOW);
    REQUIRE(compile(machine, what, allow, *program));
    for (int i = 0; i < 1000; ++i) {
      const Sample sample = random_sample(random, machine, one);
      if (sample.call.hidden != MmCall::Hidden::none) continue;
      const Verdict verdict = decide(sample.call, one.seals, what.refused_breaks);
      const std::uint32_t action =
          evaluate(program->instructions(), data_of(*sample.abi, sample.number, sample.arguments));
      ++calls;
      refused += verdict != policy::kAllow ? 1 : 0;
      const bool left_to_others = sample.call.rare && what.rare == SECCOMP_RET_ALLOW;
      const bool fails_anyway =
          left_to_others && sample.arguments[0] + sample.arguments[1] < sample.arguments[1];
      if (left_to_others && (action == SECCOMP_RET_ALLOW || fails_anyway)) continue;
      if (action != action_of(verdict)) FAIL(describe(sample));
    }
  }
  CHECK(calls >= 1'000'000);
  CHECK(refused >= calls / 20);
}

TEST_CASE("a hull program notifies at least what the verdict refuses") {
  Random random(20240611);
  auto program = std::make_unique<BpfProgram>();
  std::size_t notified = 0;
  std::size_t calls = 0;
  for (int round = 0; round < 400; ++round) {
    const policy::Machine& machine = kMachines[round % std::size(kMachines)];
    const Case one = random_case(random, 1 + below(random, 24));
    policy::RangeProgram what;
    what.ranges = one.ranges;
    what.contents = one.ranges;
    what.hit = SECCOMP_RET_USER_NOTIF;
    what.exact = false;
    what.rare = round % 2 == 0 ? 0 : SECCOMP_RET_USER_NOTIF;
    what.hidden = SECCOMP_RET_USER_NOTIF;
    what.suspect_huge_files = true;
    what.mseal = SECCOMP_RET_USER_NOTIF;
    program->clear();
    const auto allow = program->ret(SECCOMP_RET_ALLOW);
    REQUIRE(compile(machine, what, allow, *program));
    for (int i = 0; i < 1000; ++i) {
      const Sample sample = random_sample(random, machine, one);
      const std::uint32_t action =
          evaluate(program->instructions(), data_of(*sample.abi, sample.number, sample.arguments));
      const bool hidden =
          sample.call.hidden != MmCall::Hidden::none || (sample.call.rare && what.rare != 0) ||
          sample.call.effect == MmCall::Effect::share_memory || sample.call.effect == MmCall::Effect::seal;
      const bool must = hidden || decide(sample.call, one.seals, {}) != policy::kAllow;
      if (must && action != SECCOMP_RET_USER_NOTIF) FAIL(describe(sample));
      notified += action == SECCOMP_RET_USER_NOTIF ? 1 : 0;
      ++calls;
    }
  }
  CHECK(notified < calls);
}

TEST_CASE("a program of all addresses notifies every call that could change a mapping or makes a process") {
  Random random(20261121);
  auto program = std::make_unique<BpfProgram>();
  const Range everything{0, ~0ULL};
  std::size_t notified = 0;
  std::size_t calls = 0;
  for (const policy::Machine& machine : kMachines) {
    policy::RangeProgram what;
    what.ranges = {&everything, 1};
    what.contents = {&everything, 1};
    what.exact = false;
    for (std::uint32_t* action : {&what.hit, &what.rare, &what.hidden, &what.mseal, &what.every_brk}) {
      *action = SECCOMP_RET_USER_NOTIF;
    }
    what.suspect_huge_files = true;
    program->clear();
    const auto allow = program->ret(SECCOMP_RET_ALLOW);
    REQUIRE(compile(machine, what, allow, *program));
    const Case one = random_case(random, 8);
    for (int i = 0; i < 20'000; ++i) {
      const Sample sample = random_sample(random, machine, one);
      const std::uint32_t action =
          evaluate(program->instructions(), data_of(*sample.abi, sample.number, sample.arguments));
      // Ranges that the kernel refuses by themselves are left empty by decode().
      const bool touches =
          sample.call.effect == MmCall::Effect::modify || sample.call.effect == MmCall::Effect::discard;
      const bool must = touches ? !sample.call.ranges[0].empty() || sample.call.hidden != MmCall::Hidden::none
                                : sample.call.effect != MmCall::Effect::none;
      if (must && action != SECCOMP_RET_USER_NOTIF) FAIL(describe(sample));
      notified += action == SECCOMP_RET_USER_NOTIF ? 1 : 0;
      ++calls;
    }
  }
  CHECK(notified < calls);
}

TEST_CASE("numbers and architectures of no concern go where the caller says") {
  auto program = std::make_unique<BpfProgram>();
  const auto other = program->ret(SECCOMP_RET_TRACE);
  const Range range{0x10000, 0x20000};
  policy::RangeProgram what;
  what.ranges = {&range, 1};
  what.hit = kRefuse;
  what.refuse_foreign = true;
  REQUIRE(compile(policy::kX86Machine, what, other, *program));
  const auto run = [&](std::uint32_t arch, std::uint32_t number) {
    seccomp_data data{};
    data.arch = arch;
    data.nr = static_cast<int>(number);
    return evaluate(program->instructions(), data);
  };
  CHECK(run(policy::kAuditX86_64, 0) == SECCOMP_RET_TRACE);
  CHECK(run(policy::kAuditX86_64, 999) == SECCOMP_RET_TRACE);
  CHECK(run(policy::kAuditI386, 1) == SECCOMP_RET_TRACE);
  CHECK(run(policy::kAuditAarch64, 215) == SECCOMP_RET_TRACE);
  CHECK(run(policy::kAuditX86_64, policy::kX32Bit | 11) == (SECCOMP_RET_ERRNO | ENOSYS));
}

TEST_CASE("a program of many ranges needs jumps longer than a branch can make, and still agrees") {
  Random random(7);
  std::vector<Seal> seals;
  std::vector<Range> ranges;
  for (std::uint64_t i = 0; i < 250; ++i) {
    const Range range = Range::of(0x7F00'0000'0000 + i * 3 * kPage + (i % 5) * 0x1'0000'0000, kPage);
    REQUIRE(policy::add_seal(seals, {range, true, 0}, 4096));
  }
  for (const Seal& seal : seals) append(ranges, seal.range);
  auto program = std::make_unique<BpfProgram>();
  const auto allow = program->ret(SECCOMP_RET_ALLOW);
  policy::RangeProgram what;
  what.ranges = ranges;
  what.contents = ranges;
  what.hit = kRefuse;
  REQUIRE(compile(policy::kX86Machine, what, allow, *program));
  CHECK(program->instructions().size() > 1000);
  for (int i = 0; i < 200'000; ++i) {
    Arguments arguments{ranges[below(random, ranges.size())].start + (below(random, 5) - 2) * kPage,
                        below(random, 4 * kPage)};
    const MmCall call = decode(policy::kX86Machine, policy::kX86Abis[0], 11, arguments);
    const auto action = evaluate(program->instructions(), data_of(policy::kX86Abis[0], 11, arguments));
    if (action != action_of(decide(call, seals, {})))
      FAIL("munmap " << std::hex << arguments[0] << " " << arguments[1]);
  }
}

TEST_CASE("the program of one seal is short, so that there is room for many") {
  auto program = std::make_unique<BpfProgram>();
  const Range range{0x7F00'0000'1000, 0x7F00'0000'2000};
  policy::RangeProgram what;
  what.ranges = {&range, 1};
  what.contents = {&range, 1};
  what.hit = kRefuse;
  what.rare = SECCOMP_RET_ALLOW;
  policy::Machine machine = policy::kX86Machine;
  machine.address_mask = ~0ULL;
  const auto allow = program->ret(SECCOMP_RET_ALLOW);
  REQUIRE(compile(machine, what, allow, *program));
  CHECK(program->instructions().size() <= 30);
}

TEST_CASE("a program that is too long is refused, not truncated") {
  std::vector<Range> ranges;
  for (std::uint64_t i = 0; i < 4000; ++i) ranges.push_back(Range::of(0x10000 + i * 2 * kPage, kPage));
  auto program = std::make_unique<BpfProgram>();
  const auto allow = program->ret(SECCOMP_RET_ALLOW);
  policy::RangeProgram what;
  what.ranges = ranges;
  what.contents = ranges;
  what.hit = kRefuse;
  CHECK_FALSE(compile(policy::kX86Machine, what, allow, *program));
}

}  // namespace
}  // namespace libmseal
