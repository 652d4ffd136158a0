// The compiled programs, run in the evaluator, against the verdict: the rule and its translation must agree.
// Arguments are raw: all 64 bits of a register may be anything, whatever the kernel reads of them.
#include "policy/bpf/range_program.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "policy/bpf/evaluator.h"
#include "policy/rules/verdict.h"
#include "tests/support/bpf_check.h"
#include "tests/support/catch.h"
#include "tests/unit/random_calls.h"

namespace libmseal::tests {
namespace {

using policy::BpfProgram;
using policy::evaluate;
using policy::RangeProgram;
using policy::Verdict;

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kAnswerZero = SECCOMP_RET_ERRNO | 0;
constexpr std::uint32_t kNotify = SECCOMP_RET_USER_NOTIF;
// Told apart from everything else.
constexpr std::uint32_t kShmRemapAction = SECCOMP_RET_ERRNO | EACCES;
constexpr std::uint32_t kOldMmapAction = SECCOMP_RET_ERRNO | ENOTSUP;
constexpr std::uint32_t kNoSuchCall = SECCOMP_RET_ERRNO | ENOSYS;
constexpr std::uint32_t kIoSetupAction = SECCOMP_RET_ERRNO | EAGAIN;
constexpr std::uint32_t kIoDestroyAction = SECCOMP_RET_ERRNO | EBUSY;

constexpr policy::UnjudgeableCalls kUnjudgeable{kShmRemapAction, kOldMmapAction, kIoSetupAction,
                                                kIoDestroyAction, std::nullopt};

constexpr std::uint32_t action_of_unjudgeable(Call call) {
  switch (call) {
    case Call::old_mmap:
      return kOldMmapAction;
    case Call::io_setup:
      return kIoSetupAction;
    case Call::io_destroy:
      return kIoDestroyAction;
    default:
      return kShmRemapAction;
  }
}

constexpr int kRounds = 1500;

std::uint32_t action_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::allow:
    case Verdict::depends_on_file:  // no filter can look at it
    case Verdict::depends_on_source:
      return kAllow;
    case Verdict::refuse:
      return kRefuse;
    case Verdict::answer_zero:
      return kAnswerZero;
  }
  return 0;
}

// What decide() says, and of brk, of which no supervisor hears, what the program is told.
std::uint32_t action_for(const Case& one, const Sample& sample) {
  if (sample.call.call == Call::brk)
    return one.refused_breaks.contains(sample.read(0)) ? kAnswerZero : kAllow;
  return action_of(decide(sample.call, one.memory()));
}

const Machine kMachines[] = {policy::kX86Machine, policy::arm64_machine(kPage),
                             policy::arm64_machine(4 * kPage), policy::arm64_machine(16 * kPage)};

// Compiles and lets the kernel's check look at it.
class Compiled {
 public:
  Compiled(const Machine& machine, const RangeProgram& what, std::uint32_t other = kAllow) {
    REQUIRE(compile(machine, what, program_->ret(other), *program_));
    REQUIRE(kernel_accepts(program_->instructions()));
  }
  [[nodiscard]] std::uint32_t run(const Sample& sample) const { return run(sample.data()); }
  [[nodiscard]] std::uint32_t run(const seccomp_data& data) const {
    return evaluate(program_->instructions(), data);
  }
  [[nodiscard]] std::size_t steps(const Sample& sample) const {
    std::size_t steps = 0;
    evaluate(program_->instructions(), sample.data(), &steps);
    return steps;
  }
  [[nodiscard]] std::size_t size() const { return program_->instructions().size(); }

 private:
  std::unique_ptr<BpfProgram> program_ = std::make_unique<BpfProgram>();
};

// The kernel refuses the range whatever is sealed.
bool wraps(const Machine& machine, const Sample& sample) {
  const std::uint64_t start = sample.read(0) & machine.address_mask;
  return start + sample.read(1) < start;
}

// How often each outcome was seen: a test that never meets one proves nothing about it.
using Outcomes = std::map<std::uint32_t, std::size_t>;

// ---- the filters of seals ----

TEST_CASE(
    "the filter of a seal leaves what is delegated to others and decides the rest as the verdict does") {
  Random random(20240610);
  Outcomes outcomes;
  std::size_t delegated = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Machine& machine = kMachines[round % std::size(kMachines)];
    Case one =
        random_case(random, one_in(random, 10) ? below(random, 64) : below(random, 6), random_types(random));
    if (one_in(random, 2)) one.refused_breaks = {};  // what the short form needs
    const Compiled program(machine, filter_of_seals(one.denied()));
    for (int i = 0; i < 1000; ++i) {
      const Sample sample = random_sample(random, machine, one);
      const std::uint32_t action = program.run(sample);
      const std::uint32_t verdict = sample.call.effect == MmCall::Effect::unjudgeable
                                        ? kAllow  // the first filter has an action for it
                                        : action_for(one, sample);
      ++outcomes[action];
      delegated += sample.call.delegated ? 1 : 0;
      const bool may_be_left = sample.call.delegated && action == kAllow;
      const bool fails_anyway = sample.call.delegated && wraps(machine, sample);
      if (action != verdict && !may_be_left && !fails_anyway) FAIL(describe(sample, action));
    }
  }
  CHECK(outcomes[kRefuse] >= 30'000);
  CHECK(outcomes[kAnswerZero] >= 1'000);
  CHECK(delegated >= 100'000);
  CHECK(outcomes.size() == 3);
}

// ---- programs without a supervisor ----

bool partly_huge(const Machine& machine, std::uint64_t address, std::uint64_t length) {
  return std::ranges::any_of(machine.huge_pages,
                             [&](std::uint64_t size) { return address % size == 0 && length % size != 0; });
}

bool perhaps_huge(const Machine& machine, std::uint64_t source, std::uint64_t size, std::uint64_t target) {
  return std::ranges::any_of(machine.huge_pages, [&](std::uint64_t page) {
    const std::uint64_t within = (page - 1) & 0xFFFF'FFFF & ~(machine.page_size - 1);
    const bool alike = (source & within) == (target & within);
    return alike && (page >> 32 != 0 || (((source & within) + size) & (page - 1)) != 0);
  });
}

// What a program that decides alone refuses besides, as range_program.h says.
bool is_documented_extra(const Machine& machine, const Case& one, const Sample& sample) {
  const auto flags = [&](std::size_t index) { return static_cast<std::uint32_t>(sample.read(index)); };
  if (sample.call.makes_huge_pages) return true;
  switch (sample.call.call) {
    case Call::mprotect:
      return one.may_grow_down && sample.call.grows_down;
    case Call::remap_file_pages:
      return sample.read(0) % machine.page_size != 0;
    case Call::mremap:
      if (sample.read(1) > sample.read(2) && partly_huge(machine, sample.read(0), sample.read(1)))
        return true;
      return (flags(3) & policy::kMremapFixed) != 0 &&
             (partly_huge(machine, sample.read(4), sample.read(2)) ||
              perhaps_huge(machine, sample.read(0), sample.read(1), sample.read(4)));
    default:
      return false;
  }
}

TEST_CASE(
    "a program without a supervisor refuses what the verdict refuses, and the extras that are documented") {
  Random random(20261121);
  Outcomes outcomes;
  std::map<Call, std::size_t> extras;
  for (int round = 0; round < kRounds; ++round) {
    const Machine& machine = kMachines[round % std::size(kMachines)];
    const Case one =
        random_case(random, one_in(random, 10) ? below(random, 64) : below(random, 6), random_types(random));
    const Compiled program(
        machine, first_filter_without_supervisor(one.denied(), {one.may_grow_down, one.attachments, true},
                                                 kUnjudgeable));
    for (int i = 0; i < 1000; ++i) {
      const Sample sample = random_sample(random, machine, one);
      const std::uint32_t action = program.run(sample);
      ++outcomes[action];
      std::uint32_t expected = action_for(one, sample);
      if (is_documented_extra(machine, one, sample)) {
        if (expected != kRefuse) ++extras[sample.call.call];
        expected = kRefuse;
      }
      if (sample.call.effect == MmCall::Effect::seal) expected = kNoSuchCall;
      if (sample.call.effect == MmCall::Effect::unjudgeable) {
        expected = action_of_unjudgeable(sample.call.call);
      }
      if (action != expected) FAIL(describe(sample, action));
    }
  }
  for (const std::uint32_t action : {kAllow, kRefuse, kAnswerZero, kNoSuchCall, kShmRemapAction,
                                     kOldMmapAction, kIoSetupAction, kIoDestroyAction})
    CHECK(outcomes[action] >= 1'000);
  for (const Call call :
       {Call::mmap, Call::mprotect, Call::mremap, Call::remap_file_pages, Call::shmget, Call::ipc})
    CHECK(extras[call] >= 100);
}

TEST_CASE("without a supervisor, by hand: shmdt, stacks and huge pages") {
  const Machine& machine = policy::kX86Machine;
  const Abi& native = machine.abis[0];
  const Abi& compat = machine.abis[1];
  constexpr std::uint64_t kGarbage = 0xABCD'1234'0000'0000;
  constexpr std::uint64_t kHuge = 2U << 20;
  constexpr std::uint64_t kFree = 0x7F00'0000'0000 + kHuge;
  constexpr std::uint64_t kOdd = 0x5000;
  const Case one = case_of({{Range::of(0x10000, kPage), false, true},
                            {Range::of(0x40000, kPage), false, false, policy::kWholeSeal, 0x3F000}});
  RangeProgram what = filter_of_seals_without_supervisor(one.denied(), {false, one.attachments});
  const auto run = [&](const Abi& abi, std::uint32_t number, const Arguments& arguments) {
    return Compiled(machine, what).run(sample_of(machine, abi, number, arguments));
  };
  CHECK(run(native, 67, {0x3F000}) == kAnswerZero);
  CHECK(run(native, 67, {0x3F000 | 5ULL << 57}) == kAnswerZero);  // tagged
  CHECK(run(native, 67, {0x40000}) == kAllow);
  CHECK(run(native, 67, {0x1'0003'F000}) == kAllow);
  CHECK(run(compat, 398, {0x3F000 | kGarbage}) == kAnswerZero);
  CHECK(run(compat, 117, {policy::kIpcShmdt | kGarbage, 0, 0, 0, 0x3F000 | kGarbage}) == kAnswerZero);
  CHECK(run(compat, 117, {policy::kIpcShmdt, 0, 0, 0, 0x40000}) == kAllow);

  CHECK(run(native, 10, {kFree, kPage, policy::kProtGrowsDown}) == kAllow);  // if no stack is sealed
  what = first_filter_without_supervisor(one.denied(), {true, one.attachments, true}, {});
  CHECK(run(native, 10, {kFree, kPage, policy::kProtGrowsDown}) == kRefuse);
  CHECK(run(native, 329, {kFree, kPage, policy::kProtGrowsDown}) == kRefuse);
  CHECK(run(compat, 125, {0x5000 | kGarbage, kPage, policy::kProtGrowsDown | kGarbage}) == kRefuse);
  CHECK(run(native, 10, {kFree, kPage, 7}) == kAllow);

  for (const std::uint32_t flags : {policy::kMapHugetlb, policy::kMapHugetlb | policy::kMapFixed,
                                    policy::kMapHugetlb | policy::kMapFixedNoreplace})
    CHECK(run(native, 9, {kFree, kPage, 0, flags | policy::kMapAnonymous}) == kRefuse);
  CHECK(run(native, 29, {0, kPage, policy::kShmHugetlb}) == kRefuse);
  CHECK(run(native, 29, {0, kPage, 0x1FF}) == kAllow);
  CHECK(run(compat, 395, {0, kPage, policy::kShmHugetlb | kGarbage}) == kRefuse);
  CHECK(run(compat, 117, {policy::kIpcShmget | kGarbage, 0, kPage, policy::kShmHugetlb}) == kRefuse);

  const auto moved_to = [&](std::uint64_t target, std::uint64_t length) {
    return run(native, 25, {kFree, length, length, 3, target});
  };
  CHECK(moved_to(4 * kHuge, kPage) == kRefuse);
  CHECK(moved_to(4 * kHuge, kHuge) == kAllow);
  CHECK(moved_to(4 * kHuge + kOdd, kPage) == kAllow);
  CHECK(moved_to(1U << 30, kHuge) == kRefuse);  // a multiple of the largest page
  // One of huge pages may be among several mappings where source and target lie alike in one.
  const auto move = [&](std::uint64_t from, std::uint64_t size, std::uint64_t to) {
    return run(native, 25, {from, size, size, 3, to});
  };
  CHECK(move(kFree - kPage, 2 * kPage, 5 * kHuge - kPage) == kRefuse);
  CHECK(move(kFree - kPage, 2 * kPage, 5 * kHuge + kPage) == kAllow);
  CHECK(move(kFree - kPage, kPage, 5 * kHuge - kPage) == kAllow);  // ends with a page
  CHECK(run(native, 25, {kFree, kPage, kPage, 1, 4 * kHuge}) == kAllow);
}

// ---- the first filter ----

RangeProgram base_program(const Case& denied, const Case& watched) {
  return first_filter(denied.denied(), watched.ranges, kUnjudgeable);
}

// What the first filter must say. `watched` holds everything to be private and not writable.
std::uint32_t expected_of_base(const Case& denied, const Case& watched, const Sample& sample) {
  const MmCall& call = sample.call;
  if (call.effect == MmCall::Effect::seal) return kNotify;
  if (call.effect == MmCall::Effect::unjudgeable) {
    return action_of_unjudgeable(call.call);
  }
  if (call.delegated) return kNotify;
  const std::uint32_t alone = action_for(denied, sample);
  if (alone != kAllow) return alone;
  return decide(call, {watched.seals}) == Verdict::allow ? kAllow : kNotify;
}

Case watched_case(Random& random) {
  Case watched = random_case(random, below(random, 6));
  if (one_in(random, 8)) watched.seals = {{{0, ~0ULL}}};
  for (Seal& seal : watched.seals) seal.discard_protected = true;
  watched = case_of(watched.seals);
  return watched;
}

TEST_CASE("the first filter refuses alone what it can, and notifies the rest that matters") {
  Random random(20240611);
  Outcomes outcomes;
  std::map<Call, std::size_t> notified;
  std::size_t quiet = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Machine& machine = kMachines[round % std::size(kMachines)];
    const Case denied = random_case(random, one_in(random, 10) ? below(random, 64) : below(random, 6));
    const Case watched = watched_case(random);
    const Compiled program(machine, base_program(denied, watched));
    for (int i = 0; i < 1000; ++i) {
      const Sample sample = random_sample(random, machine, one_in(random, 2) ? denied : watched);
      const std::uint32_t action = program.run(sample);
      const std::uint32_t expected = expected_of_base(denied, watched, sample);
      ++outcomes[action];
      if (action == kNotify) ++notified[sample.call.call];
      // What is watched may hit too often, with ranges that the kernel refuses by itself.
      const bool refused_by_kernel =
          (sample.call.effect == MmCall::Effect::modify || sample.call.effect == MmCall::Effect::discard) &&
          sample.call.ranges[0].empty();
      if (action == kNotify && expected == kAllow && refused_by_kernel) continue;
      if (action != expected) FAIL(describe(sample, action) << ", not 0x" << std::hex << expected);
      quiet += action == kAllow ? 1 : 0;
    }
  }
  for (const std::uint32_t action : {kAllow, kRefuse, kAnswerZero, kNotify, kShmRemapAction, kOldMmapAction,
                                     kIoSetupAction, kIoDestroyAction})
    CHECK(outcomes[action] >= 1'000);
  for (const Call call : {Call::mmap, Call::munmap, Call::mprotect, Call::mremap, Call::madvise, Call::shmdt,
                          Call::ipc, Call::shmget, Call::remap_file_pages})
    CHECK(notified[call] >= 1'000);
  CHECK(quiet >= 100'000);
}

TEST_CASE("the first filter of coverage=all notifies every call that could change a mapping, but no brk") {
  Random random(7);
  const Case everything = case_of({{{0, ~0ULL}, true}});
  std::size_t notified = 0;
  std::size_t calls = 0;
  for (const Machine& machine : kMachines) {
    const Compiled program(machine, base_program({}, everything));
    const Case one = random_case(random, 8);
    for (int i = 0; i < 20'000; ++i) {
      const Sample sample = random_sample(random, machine, one);
      const std::uint32_t action = program.run(sample);
      const MmCall& call = sample.call;
      const bool must = call.effect == MmCall::Effect::detach || call.delegated || !call.ranges[0].empty() ||
                        !call.ranges[1].empty();
      if (must && action != kNotify) FAIL(describe(sample, action));
      if (call.call == Call::brk && action != kAllow) FAIL(describe(sample, action));
      notified += action == kNotify ? 1 : 0;
      ++calls;
    }
  }
  CHECK(notified < calls);
}

TEST_CASE("the first filter itself answers whether there is a tree, and only to that question") {
  const Case one = case_of({{{0x10000, 0x20000}, true}});
  const Machine& machine = policy::kX86Machine;
  const auto asked = [&](const policy::RangeProgram& what, std::uint32_t flags) {
    return Compiled(machine, what).run(sample_of(machine, machine.abis[0], 9, {0, 0, 0, flags, ~0ULL}));
  };
  const policy::RangeProgram supervised = base_program(one, {});
  CHECK(asked(supervised, policy::kTreeQuestion) == (SECCOMP_RET_ERRNO | EALREADY));
  for (unsigned bit = 0; bit < 32; ++bit)
    CHECK(asked(supervised, policy::kTreeQuestion ^ 1U << bit) != (SECCOMP_RET_ERRNO | EALREADY));
  CHECK(asked(first_filter_without_supervisor(one.denied(), {}, kUnjudgeable), policy::kTreeQuestion) ==
        kAllow);
  CHECK(mmap(nullptr, 0, PROT_NONE, static_cast<int>(policy::kTreeQuestion), -1, 0) == MAP_FAILED);
  CHECK(errno == EINVAL);  // the kernel's answer
}

TEST_CASE("the first filter with supervisor gone still refuses what it refuses alone") {
  const Machine& machine = policy::kX86Machine;
  const Case denied = case_of({{Range::of(0x5555'5555'4000, 4 * kPage), true}});
  const Case watched = case_of({{Range::of(0x7FFF'F000'0000, 1U << 20), true}});
  const Compiled program(machine, base_program(denied, watched));
  const auto run = [&](std::uint32_t number, const Arguments& arguments) {
    return program.run(sample_of(machine, machine.abis[0], number, arguments));
  };
  CHECK(run(10, {0x5555'5555'5000, kPage, 7}) == kRefuse);
  CHECK(run(11, {0x5555'5555'3000, 2 * kPage}) == kRefuse);
  CHECK(run(28, {0x5555'5555'4000, kPage, 4}) == kRefuse);
  CHECK(run(25, {0x5555'5555'4000, kPage, 2 * kPage, 1}) == kRefuse);
  CHECK(run(9, {0x5555'5555'4000, kPage, 7, policy::kMapFixed | policy::kMapAnonymous}) == kRefuse);
  CHECK(run(25, {0x5555'5555'4000, kPage, kPage, 3, 0x10000}) == kNotify);
  CHECK(run(11, {0x7FFF'F000'0000, kPage}) == kNotify);
  CHECK(run(11, {0x7FFF'0000'0000, kPage}) == kAllow);
}

// As libc does for each thread's stack, and where it makes one executable.
TEST_CASE("guards and PROT_GROWSDOWN with PROT_GROWSUP are notified where seals may be, not elsewhere") {
  const Case denied = case_of({{Range::of(0x5555'5555'0000, 16 * kPage), true}});
  const Case watched = case_of({{Range::of(0x7FFF'F000'0000, 1U << 20), true}});
  constexpr std::uint64_t kGuardInstall = 102;
  constexpr std::uint64_t kBoth = policy::kProtGrowsDown | policy::kProtGrowsUp;
  for (const Machine& machine : kMachines) {
    const Abi& native = machine.abis[0];
    const bool x86 = native.audit_arch == policy::kAuditX86_64;
    const Compiled base(machine, base_program(denied, watched));
    const Compiled of_seal(machine, filter_of_seals(denied.denied()));
    const auto advise = [&](const Compiled& program, std::uint64_t at) {
      return program.run(sample_of(machine, native, x86 ? 28 : 233, {at, 16 * kPage, kGuardInstall}));
    };
    const auto protect = [&](std::uint64_t at, std::uint64_t protection) {
      return base.run(sample_of(machine, native, x86 ? 10 : 226, {at, 16 * kPage, protection}));
    };
    CHECK(advise(base, 0x7F00'0000'0000) == kAllow);
    CHECK(advise(base, 0x7FFF'F000'0000) == kNotify);
    CHECK(advise(base, 0x5555'5555'0000) == kRefuse);
    CHECK(advise(of_seal, 0x5555'5555'0000) == kRefuse);
    CHECK(advise(of_seal, 0x7F00'0000'0000) == kAllow);
    CHECK(protect(0x7F00'0000'0000, kBoth) == kAllow);
    CHECK(protect(0x7F00'0000'0000, policy::kProtGrowsUp) == kAllow);
    CHECK(protect(0x7FFF'F000'0000, kBoth) == kNotify);
    CHECK(protect(0x7F00'0000'0000, policy::kProtGrowsDown) == kNotify);
  }
}

// A file may be of the machine's largest pages.
TEST_CASE("a mapping that a file of huge pages would make larger is delegated, whatever their size") {
  for (const Machine& machine : kMachines) {
    const Compiled program(machine, base_program({}, {}));
    for (const std::uint64_t size : machine.huge_pages) {
      const auto map = [&](std::uint64_t address, std::uint64_t length) {
        const std::uint32_t number = machine.abis[0].audit_arch == policy::kAuditX86_64 ? 9 : 222;
        return program.run(
            sample_of(machine, machine.abis[0], number, {address, length, 1, policy::kMapFixed, 3}));
      };
      INFO("page size " << machine.page_size << ", huge page " << size);
      if (size > machine.page_size) CHECK(map(3 * size, machine.page_size) == kNotify);
      if (size > machine.huge_pages.front()) CHECK(map(3 * size, machine.huge_pages.front()) == kNotify);
      CHECK(map(3 * size + machine.page_size, machine.page_size) == kAllow);
    }
  }
}

TEST_CASE("numbers and architectures of no concern go where the caller says") {
  const Case one = case_of({{Range::of(0x10000, 16 * kPage), true}});
  const Compiled program(policy::kX86Machine, base_program(one, one), SECCOMP_RET_LOG);
  const auto run = [&](std::uint32_t arch, std::uint32_t number) {
    seccomp_data data{};
    data.arch = arch;
    data.nr = static_cast<int>(number);
    return program.run(data);
  };
  CHECK(run(policy::kAuditX86_64, 0) == SECCOMP_RET_LOG);
  CHECK(run(policy::kAuditX86_64, 999) == SECCOMP_RET_LOG);
  CHECK(run(policy::kAuditI386, 1) == SECCOMP_RET_LOG);
  CHECK(run(policy::kAuditAarch64, 215) == SECCOMP_RET_LOG);
  // A tracer skips a call by the number -1.
  CHECK(run(policy::kAuditX86_64, ~0U) == SECCOMP_RET_LOG);
  CHECK(run(policy::kAuditI386, ~0U) == SECCOMP_RET_LOG);
  for (const std::uint32_t number :
       {policy::kX32Bit, policy::kX32Bit | 11, policy::kX32Bit | 462, ~0U - 1, 1U << 31})
    CHECK(run(policy::kAuditX86_64, number) == (SECCOMP_RET_ERRNO | ENOSYS));
}

// Whose ABI nobody could tell by what /proc shows of the call.
TEST_CASE("a call of i386 with a register that is too wide has an answer of its own") {
  constexpr std::uint32_t kWide = SECCOMP_RET_ERRNO | EDOM;
  policy::UnjudgeableCalls unjudgeable = kUnjudgeable;
  unjudgeable.wide = kWide;
  const Case one = case_of({{Range::of(0x10000, 16 * kPage), true}});
  const Compiled program(policy::kX86Machine, first_filter(one.denied(), {}, unjudgeable), SECCOMP_RET_LOG);
  const Compiled without(policy::kX86Machine, first_filter(one.denied(), {}, kUnjudgeable), SECCOMP_RET_LOG);
  const auto expect = [&](const policy::Abi& abi, std::uint32_t number, bool counts) {
    INFO(std::hex << abi.audit_arch << std::dec << " " << number);
    CHECK(program.run(sample_of(policy::kX86Machine, abi, number, {})) ==
          without.run(sample_of(policy::kX86Machine, abi, number, {})));
    for (std::size_t argument = 0; argument < 6; ++argument) {
      for (const std::uint64_t garbage : {1ULL << 32, 1ULL << 63, 0xFFFF'FFFF'0001'0000ULL}) {
        policy::Arguments arguments{};
        arguments[argument] = garbage;
        const Sample data = sample_of(policy::kX86Machine, abi, number, arguments);
        CHECK(program.run(data) ==
              (counts && argument < policy::kShownArguments ? kWide : without.run(data)));
      }
    }
  };
  const policy::Abi& native = policy::kX86Abis[0];
  const policy::Abi& i386 = policy::kX86Abis[1];
  std::set<std::uint32_t> concern{i386.clones.clone, i386.clones.vfork, i386.clones.clone3};
  for (const policy::CallNumber& entry : i386.calls) concern.insert(entry.number);
  for (std::uint32_t number = 0; number < 500; ++number) {
    expect(i386, number, concern.contains(number));
    expect(native, number, false);
  }
}

// ---- sizes ----

TEST_CASE("a program of many ranges needs jumps longer than a branch can make, and still agrees") {
  Random random(7);
  std::vector<Seal> seals;
  for (std::uint64_t i = 0; i < 250; ++i) {
    const Range range = Range::of(0x7F00'0000'0000 + i * 3 * kPage + (i % 5) * 0x1'0000'0000, kPage);
    REQUIRE(policy::add_seal(seals, {range, true}, 4096));
  }
  const Case one = case_of(std::move(seals));
  const Machine& machine = policy::kX86Machine;
  const Compiled program(machine, filter_of_seals_without_supervisor(one.denied(), {}));
  CHECK(program.size() > 1000);
  for (int i = 0; i < 200'000; ++i) {
    const Arguments arguments{
        one.ranges[below(random, one.ranges.size())].start + (below(random, 5) - 2) * kPage,
        below(random, 4 * kPage)};
    const Sample sample = sample_of(machine, machine.abis[0], 11, arguments);
    const std::uint32_t action = program.run(sample);
    if (action != action_of(decide(sample.call, one.memory()))) FAIL(describe(sample, action));
  }
}

TEST_CASE("the program of one seal is short, so that there is room for many") {
  const Case one = case_of({{Range::of(0x7F00'0000'1000, kPage), true}});
  const RangeProgram what = filter_of_seals(one.denied());
  Machine machine = policy::kX86Machine;
  CHECK(Compiled(machine, what).size() <= 30);
  machine.address_mask = ~0ULL;
  CHECK(Compiled(machine, what).size() <= 29);
  CHECK(Compiled(policy::arm64_machine(kPage), what).size() <= 30);
}

TEST_CASE("calls that touch nothing run few instructions") {
  // An image beside the mappings that a program makes all day, and watched places elsewhere.
  std::vector<Seal> seals;
  for (std::uint64_t i = 0; i < 7; ++i) {
    const Range range = Range::of(0x7F00'8000'0000 + i * 0x40'0000, 16 * kPage);
    REQUIRE(policy::add_seal(seals, {range, true}, 64));
  }
  const Case image = case_of(std::move(seals));
  const Case watched = case_of({{{0, 0x8000'0000}}, {{0x5555'5555'4000, 0x6555'5555'4000}}});
  const Machine& machine = policy::kX86Machine;
  const auto steps = [&](const Compiled& program, std::uint32_t number, const Arguments& arguments) {
    return program.steps(sample_of(machine, machine.abis[0], number, arguments));
  };
  const Compiled first(machine, base_program(image, watched));
  for (const std::uint64_t at : {0x7F00'7000'0000ULL, 0x7F00'8020'0000ULL, 0x7F00'9000'0000ULL}) {
    CHECK(steps(first, 9, {at, kPage, 1, policy::kMapAnonymous}) <= 9);
    CHECK(steps(first, 10, {at, kPage, 1}) <= 30);
    CHECK(steps(first, 11, {at, kPage}) <= 29);
  }
  const Case one = case_of({{Range::of(0x7F00'8000'0000, kPage), true}});
  const Compiled of_seal(machine, filter_of_seals(one.denied()));
  CHECK(steps(of_seal, 10, {0x7F00'7000'0000, kPage, 1}) <= 14);
  CHECK(steps(of_seal, 10, {0x7F00'9000'0000, kPage, 1}) <= 11);
  CHECK(steps(of_seal, 10, {0x7E00'9000'0000, kPage, 1}) <= 9);
}

TEST_CASE("a program that is too long is refused, not truncated") {
  std::vector<Range> ranges;
  for (std::uint64_t i = 0; i < 4000; ++i) ranges.push_back(Range::of(0x10000 + i * 2 * kPage, kPage));
  auto program = std::make_unique<BpfProgram>();
  const auto allow = program->ret(SECCOMP_RET_ALLOW);
  const RangeProgram what = policy::filter_of_seals_without_supervisor({ranges, ranges}, {});
  CHECK_FALSE(compile(policy::kX86Machine, what, allow, *program));
}

}  // namespace
}  // namespace libmseal::tests
