// Looks for what is wrong with a compiled range program: the program is run symbolically, every path to its
// end, and the solver looks for arguments that reach the wrong one.
#pragma once

#include <cerrno>
#include <cstdint>
#include <ostream>
#include <random>
#include <span>
#include <vector>

#include "policy/bpf/blocked_calls.h"
#include "policy/bpf/range_program.h"
#include "tests/proof/rule.h"
#include "tests/proof/symbolic_run.h"
#include "tests/support/bpf_check.h"
#include "tests/support/catch.h"

namespace libmseal::tests {

using policy::BpfProgram;

inline constexpr std::uint64_t kPage = 4096;
inline constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
inline constexpr std::uint32_t kAnswerZero = SECCOMP_RET_ERRNO | 0;
inline constexpr std::uint32_t kIsInTree = SECCOMP_RET_ERRNO | EALREADY;
inline constexpr std::uint32_t kNotify = SECCOMP_RET_USER_NOTIF;

// What is sealed, and what is watched besides by the first filter.
struct Shape {
  std::vector<Range> ranges;
  std::vector<Range> contents;
  std::vector<Range> watched{};
  std::vector<std::uint64_t> attachments{};
  Range refused_breaks{};
  bool protection = true;
};

enum class Kind {
  alone,       // decides about everything, for there is no supervisor
  delegating,  // the filter of a seal, which leaves what is delegated to the first one
  first,       // the first filter
};

inline Shape random_shape(std::mt19937_64& random, std::size_t count) {
  static constexpr std::uint64_t kBases[] = {0x10000, 0xFFFF'0000, 0x5555'5555'4000, 0x7FFF'F000'0000,
                                             0x7FFF'FFF0'0000};
  Shape shape;
  std::uint64_t next = 0;
  for (std::size_t index = 0; index < count; ++index) {
    const std::uint64_t base =
        kBases[std::min(index * std::size(kBases) / count + random() % 2, std::size(kBases) - 1)];
    const std::uint64_t start = std::max(base, next) + (1 + random() % 4) * kPage;
    const std::uint64_t end = start + (1 + random() % 20) * kPage * (random() % 8 == 0 ? 0x100000 : 1);
    shape.ranges.push_back({start, end});
    if (random() % 2 == 0) shape.contents.push_back({start, end});
    next = end;
  }
  return shape;
}

// So many under one upper word that they are searched by their distance from the first.
inline Shape many_under_one_word() {
  Shape shape;
  for (std::uint64_t index = 0; index < 17; ++index) {
    shape.ranges.push_back(Range::of(0x7FFF'F000'1000 + index * 0x3000, (1 + index % 2) * kPage));
  }
  shape.contents = {shape.ranges.front()};
  return shape;
}

enum class Finding { none, too_little, too_much };

inline std::ostream& operator<<(std::ostream& out, Finding finding) {
  return out << (finding == Finding::none         ? "nothing"
                 : finding == Finding::too_little ? "a call that must be refused, answered or notified is not"
                                                  : "a call is refused, answered or notified for nothing");
}

// What the solver finds wrong with the program, for one call of one ABI.
inline Finding examine(std::span<const sock_filter> program, const policy::Machine& machine,
                       const policy::Abi& abi, const policy::CallNumber& entry, const Shape& shape,
                       Kind kind) {
  z3::context context;
  const Input input(context);
  const auto outcomes =
      SymbolicRun(context, input, bits(context, abi.audit_arch), bits(context, entry.number))
          .outcomes(program);
  const auto returns = [&](std::uint32_t action) {
    const auto found = outcomes.find(action);
    return found == outcomes.end() ? context.bool_val(false) : found->second;
  };
  Rule rule(context, input, machine, abi);
  const Call call = entry.call;
  const z3::expr touches = rule.refuses(call, shape.ranges, shape.contents, shape.protection);
  const z3::expr delegated = rule.delegated(call);
  const bool first = kind == Kind::first;
  z3::expr refuse = rule.no();
  z3::expr may_refuse = rule.no();
  z3::expr notify = rule.no();
  z3::expr in_tree = rule.no();
  z3::expr zero = rule.lowers_break(call, shape.refused_breaks);
  switch (kind) {
    case Kind::alone:
      refuse = touches || rule.extra(call, shape.protection);
      zero = zero || rule.detaches(call, shape.attachments);
      break;
    case Kind::delegating:
      refuse = touches && !delegated;
      may_refuse = touches || (delegated && rule.wraps());
      break;
    case Kind::first:
      refuse = (touches && !delegated) || rule.closed(call);
      notify = delegated || (rule.refuses(call, shape.watched, shape.watched, true) && !refuse);
      if (call == Call::mseal) notify = rule.yes();
      in_tree = rule.asks_for_tree(call);
      notify = notify && !in_tree;
      break;
  }
  z3::solver solver(context);
  const auto possible = [&](const z3::expr& condition) {
    solver.push();
    solver.add(condition);
    const z3::check_result result = solver.check();
    REQUIRE(result != z3::unknown);
    solver.pop();
    return result == z3::sat;
  };
  if (possible((refuse && !returns(kRefuse)) || (zero && !returns(kAnswerZero)) ||
               (notify && !returns(kNotify)) || (in_tree && !returns(kIsInTree))))
    return Finding::too_little;
  const z3::expr for_nothing = (returns(kRefuse) && !refuse && !may_refuse) ||
                               (returns(kAnswerZero) && !zero) || (returns(kIsInTree) && !in_tree) ||
                               (returns(kNotify) && !notify && (first ? !rule.may_notify(call) : rule.yes()));
  return possible(for_nothing) ? Finding::too_much : Finding::none;
}

inline policy::RangeProgram program_for(const Shape& shape, Kind kind) {
  const policy::DeniedRanges denied{shape.ranges, shape.contents, shape.refused_breaks, shape.protection};
  switch (kind) {
    case Kind::alone:
      return first_filter_without_supervisor(denied, {true, shape.attachments, true}, {});
    case Kind::delegating:
      return filter_of_seals(denied);
    case Kind::first:
      break;
  }
  return first_filter(denied, shape.watched, {kRefuse, kRefuse, kRefuse, kRefuse, std::nullopt});
}

inline void compile_into(BpfProgram& program, const policy::Machine& machine, const Shape& shape, Kind kind) {
  program.clear();
  if (kind == Kind::first) {
    write_blocked_calls(machine, {}, {}, program);
  } else {
    program.ret(SECCOMP_RET_ALLOW);
  }
  REQUIRE(compile(machine, program_for(shape, kind), program.front(), program));
  REQUIRE(kernel_accepts(program.instructions()));
}

}  // namespace libmseal::tests
