// The compiler beside the verdict: the fuzzer chooses seals and calls.
#include "policy/bpf/range_program.h"

#include <cerrno>
#include <memory>
#include <vector>

#include "policy/bpf/evaluator.h"
#include "policy/rules/verdict.h"
#include "tests/fuzz/input.h"

using namespace libmseal;

namespace {

constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

std::vector<policy::Seal> take_seals(tests::Input& input) {
  std::vector<policy::Seal> seals;
  const policy::SealTypes types =
      input.take<std::uint8_t>() % 4 == 0 ? policy::kBaseType : policy::kWholeSeal;
  for (int left = input.take<std::uint8_t>() % 12; left > 0; --left) {
    const std::uint64_t start = (input.take<std::uint64_t>() & 0x7FFF'FFFF'F000);
    const std::uint64_t pages = 1 + input.take<std::uint16_t>();
    tests::must(policy::add_seal(
        seals, {policy::Range::of(start, pages * 4096), input.take<std::uint8_t>() % 2 == 0, false, types},
        64));
  }
  return seals;
}

// An address near a seal more often than chance would have it.
std::uint64_t take_address(tests::Input& input, const std::vector<policy::Seal>& seals) {
  const std::uint64_t value = input.take<std::uint64_t>();
  if (seals.empty() || value % 3 == 0) return value;
  const policy::Range& range = seals[(value >> 8) % seals.size()].range;
  return (value % 3 == 1 ? range.start : range.end) + ((value >> 16) % 9 - 4) * 4096;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::Input input(data, size);
  const std::vector<policy::Seal> seals = take_seals(input);
  std::vector<policy::Range> ranges;
  std::vector<policy::Range> contents;
  bool protection = true;
  for (const policy::Seal& seal : seals) {
    if (!ranges.empty() && ranges.back().end == seal.range.start) {
      ranges.back().end = seal.range.end;
    } else {
      ranges.push_back(seal.range);
    }
    protection = seal.has(policy::kProtectionType);
    if (seal.discard_protected) contents.push_back(seal.range);
  }
  const policy::RangeProgram what = policy::filter_of_seals({ranges, contents, {}, protection});
  const auto program = std::make_unique<policy::BpfProgram>();
  const auto allow = program->ret(SECCOMP_RET_ALLOW);
  tests::must(compile(policy::kX86Machine, what, allow, *program));
  while (!input.empty()) {
    const policy::Abi& abi = policy::kX86Machine.abis[input.take<std::uint8_t>() % 2];
    const std::uint32_t number = abi.calls[input.take<std::uint8_t>() % abi.calls.size()].number;
    policy::Arguments arguments;
    for (auto& argument : arguments) argument = take_address(input, seals);
    seccomp_data call{};
    call.arch = abi.audit_arch;
    call.nr = static_cast<int>(number);
    for (std::size_t index = 0; index < arguments.size(); ++index) {
      call.args[index] = arguments[index];
    }
    const policy::MmCall decoded = decode(policy::kX86Machine, abi, number, arguments);
    const bool refused = policy::evaluate(program->instructions(), call) == kRefuse;
    const bool must_be = decide(decoded, {seals}) == policy::Verdict::refuse;
    // What is delegated may be left to others; a range that wraps around fails anyway.
    const bool wraps = arguments[0] + arguments[1] < arguments[1];
    const bool unjudged = decoded.effect == policy::MmCall::Effect::unjudgeable;
    if (decoded.delegated || unjudged) {
      tests::must(!refused || must_be || wraps);
    } else {
      tests::must(refused == must_be);
    }
  }
  return 0;
}
