// Proofs, with Z3, that a compiled range program is right for all arguments at once: the program is run
// symbolically, every path to its end, and the solver looks for arguments that reach the wrong one.
//
//   sound:  ALLOW implies that the call touches no covered range, or that the kernel refuses its range anyway
//   exact:  a refusal implies that it does touch one
//
// A proof that can't fail proves nothing: broken programs, made by hand from right ones, must be found out.
#include <z3++.h>

#include <cerrno>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "policy/mm_call.h"
#include "policy/range_program.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

using policy::BpfProgram;
using policy::Call;
using policy::Range;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
constexpr unsigned kWord = 32;

std::uint64_t number(std::uint32_t value) {
  return value;
}

// Symbolic seccomp_data: fixed architecture and number, free arguments.
struct Input {
  explicit Input(z3::context& context) {
    for (unsigned index = 0; index < 6; ++index) {
      arguments.push_back(context.bv_const(("a" + std::to_string(index)).c_str(), 64));
    }
  }
  std::vector<z3::expr> arguments;
};

// The action of a program as one expression over the arguments. Jumps go forward only, so running it from the
// end to the beginning with memory of what each instruction leads to would lose the registers; running it
// path by path would take exponential time. Merged at each instruction, state by state, it takes linear time.
class SymbolicRun {
 public:
  SymbolicRun(z3::context& context, const Input& input, std::uint32_t arch, std::uint32_t call_number)
      : context_(context), input_(input), arch_(arch), number_(call_number) {}

  // The condition under which the program returns `action`.
  z3::expr returns(std::span<const sock_filter> program, std::uint32_t action) {
    std::vector<std::unique_ptr<State>> states(program.size() + 1);
    states[0] = std::make_unique<State>(first());
    z3::expr reached = context_.bool_val(false);
    for (std::size_t pc = 0; pc < program.size(); ++pc) {
      if (!states[pc]) continue;
      const State state = *states[pc];
      const sock_filter& one = program[pc];
      if (one.code == (BPF_RET | BPF_K)) {
        if (one.k == action) reached = reached || state.condition;
        continue;
      }
      if (BPF_CLASS(one.code) == BPF_JMP && BPF_OP(one.code) != BPF_JA) {
        const z3::expr holds = compare(one, state).simplify();
        if (!holds.is_false()) join(states[pc + 1 + one.jt], with(state, holds));
        if (!holds.is_true()) join(states[pc + 1 + one.jf], with(state, !holds));
        continue;
      }
      const std::size_t next = one.code == (BPF_JMP | BPF_JA) ? pc + 1 + one.k : pc + 1;
      join(states[next], step(one, state));
    }
    return reached;
  }

 private:
  struct State {
    z3::expr condition;
    z3::expr a;
    z3::expr x;
    std::vector<z3::expr> scratch;
  };

  State first() {
    const z3::expr zero = word(0);
    return {context_.bool_val(true), zero, zero, std::vector<z3::expr>(4, zero)};
  }

  z3::expr word(std::uint32_t value) { return context_.bv_val(number(value), kWord); }

  static State with(State state, const z3::expr& condition) {
    state.condition = (state.condition && condition).simplify();
    return state;
  }

  static z3::expr choose(const z3::expr& condition, const z3::expr& yes, const z3::expr& no) {
    return z3::eq(yes, no) ? yes : z3::ite(condition, yes, no);
  }

  void join(std::unique_ptr<State>& place, const State& coming) {
    if (!place) {
      place = std::make_unique<State>(coming);
      return;
    }
    place->a = choose(coming.condition, coming.a, place->a);
    place->x = choose(coming.condition, coming.x, place->x);
    for (std::size_t slot = 0; slot < place->scratch.size(); ++slot) {
      place->scratch[slot] = choose(coming.condition, coming.scratch[slot], place->scratch[slot]);
    }
    place->condition = (place->condition || coming.condition).simplify();
  }

  z3::expr compare(const sock_filter& one, const State& state) {
    const z3::expr right = BPF_SRC(one.code) == BPF_X ? state.x : word(one.k);
    switch (BPF_OP(one.code)) {
      case BPF_JEQ:
        return state.a == right;
      case BPF_JGT:
        return z3::ugt(state.a, right);
      case BPF_JGE:
        return z3::uge(state.a, right);
      case BPF_JSET:
        return (state.a & right) != word(0);
      default:
        throw std::logic_error("unknown jump");
    }
  }

  State step(const sock_filter& one, State state) {
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        state.a = load(one.k);
        break;
      case BPF_LD | BPF_MEM:
        state.a = state.scratch.at(one.k);
        break;
      case BPF_LDX | BPF_MEM:
        state.x = state.scratch.at(one.k);
        break;
      case BPF_ST:
        state.scratch.at(one.k) = state.a;
        break;
      case BPF_ALU | BPF_ADD | BPF_K:
        state.a = state.a + word(one.k);
        break;
      case BPF_ALU | BPF_ADD | BPF_X:
        state.a = state.a + state.x;
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        state.a = state.a & word(one.k);
        break;
      case BPF_MISC | BPF_TAX:
        state.x = state.a;
        break;
      case BPF_LD | BPF_IMM:
        state.a = word(one.k);
        break;
      case BPF_JMP | BPF_JA:
        break;
      default:
        throw std::logic_error("instruction that the compiler should not use");
    }
    return state;
  }

  z3::expr load(std::uint32_t offset) {
    if (offset == offsetof(seccomp_data, nr)) return word(number_);
    if (offset == offsetof(seccomp_data, arch)) return word(arch_);
    const std::uint32_t in_arguments = offset - static_cast<std::uint32_t>(offsetof(seccomp_data, args));
    const z3::expr& argument = input_.arguments.at(in_arguments / 8);
    return in_arguments % 8 == 0 ? argument.extract(31, 0) : argument.extract(63, 32);
  }

  z3::context& context_;
  const Input& input_;
  std::uint32_t arch_;
  std::uint32_t number_;
};

// The rule itself, written down a second time, for the solver.
class Rule {
 public:
  Rule(z3::context& context, const Input& input, const policy::Machine& machine)
      : context_(context), input_(input), machine_(machine) {}

  // Must this call be refused?
  z3::expr refuses(Call call, const std::vector<Range>& ranges, const std::vector<Range>& contents) {
    switch (call) {
      case Call::munmap:
      case Call::mprotect:
        return touches(argument(0), argument(1), ranges);
      case Call::remap_file_pages:
        return touches(rounded_down(argument(0) & value(machine_.address_mask)), rounded_down(argument(1)),
                       ranges);
      case Call::mmap:
        return bit(3, policy::kMapFixed) && !bit(3, policy::kMapFixedNoreplace) &&
               touches(argument(0), argument(1), ranges);
      case Call::madvise:
        return discards() && touches(argument(0), argument(1), contents);
      case Call::mremap: {
        const z3::expr size = z3::ite(no_size(), value(1), argument(1));
        return touches(argument(0), size, ranges) ||
               (bit(3, policy::kMremapFixed) && touches(argument(4), argument(2), ranges));
      }
      default:
        return context_.bool_val(false);
    }
  }

  // Is it one of the calls that a program may leave to others?
  z3::expr rare(Call call) {
    switch (call) {
      case Call::remap_file_pages:
        return context_.bool_val(true);
      case Call::mremap:
        return bit(3, policy::kMremapFixed) || no_size() || wide();
      case Call::madvise:
        return discards() &&
               (wide() || (low(2) != context_.bv_val(4U, kWord) && low(2) != context_.bv_val(8U, kWord)));
      case Call::mmap:
        return bit(3, policy::kMapFixed) && !bit(3, policy::kMapFixedNoreplace) && wide();
      case Call::munmap:
      case Call::mprotect:
        return wide();
      default:
        return context_.bool_val(false);
    }
  }

  // May it be refused though it must not? remap_file_pages alone, and only with arguments that nobody gives
  // it.
  z3::expr may_be_refused(Call call) {
    // The program of one seal does not look at the upper word of a length: one that wraps around fails
    // anyway.
    const z3::expr wraps = z3::ult((argument(0) & value(machine_.address_mask)) + argument(1), argument(1));
    if (call != Call::remap_file_pages) return wraps;
    return rounded_down(argument(0)) != argument(0) || rounded_down(argument(1)) != argument(1);
  }

 private:
  z3::expr wide() {
    const z3::expr word = value(std::uint64_t{1} << 32);
    return z3::uge(argument(1), word) || z3::uge((argument(0) & (word - value(1))) + argument(1), word);
  }
  z3::expr no_size() {
    return z3::ugt(argument(1), value(0) - value(machine_.page_size)) || argument(1) == value(0);
  }
  z3::expr rounded_down(const z3::expr& number) { return number & value(~(machine_.page_size - 1)); }
  [[nodiscard]] const z3::expr& argument(unsigned index) const { return input_.arguments.at(index); }
  z3::expr value(std::uint64_t constant) { return context_.bv_val(constant, 64); }
  z3::expr low(unsigned index) { return argument(index).extract(31, 0); }
  z3::expr bit(unsigned index, std::uint32_t mask) {
    return (low(index) & context_.bv_val(number(mask), kWord)) != context_.bv_val(0, kWord);
  }
  z3::expr discards() {
    z3::expr any = context_.bool_val(false);
    for (const std::uint32_t advice : policy::kDiscardingAdvice) {
      any = any || low(2) == context_.bv_val(number(advice), kWord);
    }
    return any;
  }
  z3::expr touches(const z3::expr& address, const z3::expr& length, const std::vector<Range>& ranges) {
    const z3::expr start = address & value(machine_.address_mask);
    const z3::expr end = start + length;
    const z3::expr valid = z3::ugt(end, start) && (start & value(machine_.page_size - 1)) == value(0);
    z3::expr any = context_.bool_val(false);
    for (const Range& range : ranges) {
      any = any || (z3::ult(start, value(range.end)) && z3::ugt(end, value(range.start)));
    }
    return valid && any;
  }

  z3::context& context_;
  const Input& input_;
  policy::Machine machine_;
};

struct Shape {
  std::vector<Range> ranges;
  std::vector<Range> contents;
};

Shape random_shape(std::mt19937_64& random, std::size_t count) {
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

enum class Finding { none, lets_through, refuses_too_much };

std::ostream& operator<<(std::ostream& out, Finding finding) {
  return out << (finding == Finding::none           ? "nothing"
                 : finding == Finding::lets_through ? "lets a touching call through"
                                                    : "refuses a call that touches nothing");
}

enum class Kind {
  deny,         // the filter of a seal where there is no supervisor
  deny_common,  // one that leaves what is rare to the supervisor
  hull,         // the first filter
};

// What the solver finds wrong with the program, for one call of one ABI.
Finding examine(std::span<const sock_filter> program, const policy::Machine& machine, const policy::Abi& abi,
                const policy::CallNumber& entry, const Shape& shape, Kind kind) {
  const bool exact = kind != Kind::hull;
  const std::uint32_t hit = exact ? kRefuse : SECCOMP_RET_USER_NOTIF;
  z3::context context;
  const Input input(context);
  SymbolicRun run(context, input, abi.audit_arch, entry.number);
  Rule rule(context, input, machine);
  z3::solver solver(context);
  if (abi.reach != 0) {  // 32-bit registers
    for (const z3::expr& argument : input.arguments) {
      solver.add(z3::ule(argument, context.bv_val(std::uint64_t{0xFFFFFFFF}, 64)));
    }
  }
  const z3::expr refused = rule.refuses(entry.call, shape.ranges, shape.contents);
  const z3::expr must_refuse = kind == Kind::deny          ? refused
                               : kind == Kind::deny_common ? refused && !rule.rare(entry.call)
                                                           : refused || rule.rare(entry.call);
  solver.push();
  solver.add(run.returns(program, SECCOMP_RET_ALLOW) && must_refuse);
  const z3::check_result sound = solver.check();
  REQUIRE(sound != z3::unknown);
  if (sound == z3::sat) return Finding::lets_through;
  if (!exact) return Finding::none;
  solver.pop();
  solver.add(run.returns(program, hit) && !refused && !rule.may_be_refused(entry.call));
  const z3::check_result precise = solver.check();
  REQUIRE(precise != z3::unknown);
  return precise == z3::sat ? Finding::refuses_too_much : Finding::none;
}

policy::RangeProgram program_for(const Shape& shape, Kind kind) {
  const bool exact = kind != Kind::hull;
  policy::RangeProgram what;
  if (kind == Kind::deny_common) what.rare = SECCOMP_RET_ALLOW;
  what.ranges = shape.ranges;
  what.contents = exact ? shape.contents : shape.ranges;
  what.exact = exact;
  what.hit = exact ? kRefuse : SECCOMP_RET_USER_NOTIF;
  if (!exact) {
    what.rare = SECCOMP_RET_USER_NOTIF;
    what.hidden = SECCOMP_RET_USER_NOTIF;
    what.suspect_huge_files = true;
    what.mseal = SECCOMP_RET_USER_NOTIF;
    what.refuse_foreign = true;
  }
  return what;
}

void compile_into(BpfProgram& program, const policy::Machine& machine, const Shape& shape, Kind kind) {
  program.clear();
  const auto allow = program.ret(SECCOMP_RET_ALLOW);
  REQUIRE(compile(machine, program_for(shape, kind), allow, program));
}

TEST_CASE("proof: deny programs of every size refuse what touches a range, and nothing else") {
  std::mt19937_64 random(64);
  auto program = std::make_unique<BpfProgram>();
  int proofs = 0;
  const auto prove = [&](std::size_t count, Kind kind) {
    const Shape shape = random_shape(random, count);
    for (const policy::Machine& machine : {policy::kX86Machine, policy::arm64_machine(kPage)}) {
      compile_into(*program, machine, shape, kind);
      for (const policy::Abi& abi : machine.abis) {
        for (const policy::CallNumber& entry : abi.calls) {
          INFO(count << " ranges, arch " << std::hex << abi.audit_arch << std::dec << ", number "
                     << entry.number << (kind == Kind::deny ? "" : ", without what is rare"));
          REQUIRE(examine(program->instructions(), machine, abi, entry, shape, kind) == Finding::none);
          ++proofs;
        }
      }
    }
  };
  for (const std::size_t count : {1, 2, 8, 64}) prove(count, Kind::deny);
  for (const std::size_t count : {1, 1, 1, 1, 3, 20, 64}) prove(count, Kind::deny_common);
  CHECK(proofs > 200);
}

TEST_CASE("proof: hull programs let nothing through that touches the hull") {
  std::mt19937_64 random(65);
  auto program = std::make_unique<BpfProgram>();
  for (const std::size_t count : {1, 2, 7, 24, 64}) {
    Shape shape = random_shape(random, count);
    shape.contents = shape.ranges;
    compile_into(*program, policy::kX86Machine, shape, Kind::hull);
    for (const policy::Abi& abi : policy::kX86Machine.abis) {
      for (const policy::CallNumber& entry : abi.calls) {
        INFO(count << " ranges, arch " << std::hex << abi.audit_arch << std::dec << ", number "
                   << entry.number);
        REQUIRE(examine(program->instructions(), policy::kX86Machine, abi, entry, shape, Kind::hull) ==
                Finding::none);
      }
    }
  }
}

// ---- mutants: what a broken compiler would have written ----

using Mutate = bool (*)(sock_filter&);

// The carry of the 64-bit sum is dropped.
bool drop_carry(sock_filter& one) {
  if (one.code != (BPF_ALU | BPF_ADD | BPF_K) || one.k != 1) return false;
  one.k = 0;
  return true;
}
// > for >= at a boundary.
bool greater_for_at_least(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGE | BPF_K) || one.k < kPage) return false;
  one.code = BPF_JMP | BPF_JGT | BPF_K;
  return true;
}
// >= for > where the sum is compared with the end of a gap.
bool at_least_for_greater(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGT | BPF_K) || one.k % kPage != 0 || one.k == 0) return false;
  one.code = BPF_JMP | BPF_JGE | BPF_K;
  return true;
}
// A boundary is one page off.
bool boundary_off_by_a_page(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGE | BPF_K) || one.k < kPage) return false;
  one.k += kPage;
  return true;
}
// Tag bits stay in the address.
bool keep_tags(sock_filter& one) {
  if (one.code != (BPF_ALU | BPF_AND | BPF_K) ||
      one.k != static_cast<std::uint32_t>(policy::kX86Machine.address_mask >> 32)) {
    return false;
  }
  one.k = ~0U;
  return true;
}
// One advice is forgotten.
bool forget_an_advice(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JEQ | BPF_K) || one.k != 8) return false;
  one.k = 0xFFFF;
  return true;
}
// A range ends a page later.
bool end_off_by_a_page(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGT | BPF_K) || one.k % kPage != kPage - 1) return false;
  one.k += kPage;
  return true;
}
// MAP_FIXED_NOREPLACE is taken for MAP_FIXED.
bool replace_without_replacing(sock_filter& one) {
  if (one.code == (BPF_ALU | BPF_AND | BPF_K) && one.k == (policy::kMapFixed | policy::kMapFixedNoreplace)) {
    one.k = policy::kMapFixed;
    return true;
  }
  if (one.code != (BPF_JMP | BPF_JSET | BPF_K) || one.k != policy::kMapFixedNoreplace) return false;
  one.k = 0;
  return true;
}

struct Mutant {
  const char* name;
  Mutate mutate;
};

constexpr Mutant kMutants[] = {
    {"drop the carry", drop_carry},
    {"> for >=", greater_for_at_least},
    {">= for >", at_least_for_greater},
    {"a boundary off by a page", boundary_off_by_a_page},
    {"an end off by a page", end_off_by_a_page},
    {"keep the tag bits", keep_tags},
    {"forget an advice", forget_an_advice},
    {"take NOREPLACE for FIXED", replace_without_replacing},
};

// The mutants that are found out. Not every one can be made of every program, nor is it wrong in every one.
std::set<std::string> find_mutants(const Shape& shape, Kind kind) {
  auto program = std::make_unique<BpfProgram>();
  compile_into(*program, policy::kX86Machine, shape, kind);
  const std::vector<sock_filter> right(program->instructions().begin(), program->instructions().end());
  const policy::Abi& abi = policy::kX86Machine.abis[0];
  std::set<std::string> all_found;
  for (const Mutant& mutant : kMutants) {
    bool found = false;
    for (std::size_t at = 0; at < right.size() && !found; ++at) {
      std::vector<sock_filter> broken = right;
      if (!mutant.mutate(broken[at])) continue;
      for (std::size_t index = 0; index < abi.calls.size() && !found; ++index) {
        found = examine(broken, policy::kX86Machine, abi, abi.calls[index], shape, kind) != Finding::none;
      }
    }
    if (found) all_found.insert(mutant.name);
  }
  return all_found;
}

TEST_CASE("proof: every broken program is found out") {
  using Names = std::set<std::string>;
  const Range low{0x7FFF'F000'1000, 0x7FFF'F000'5000};
  const Range across{0x7FFF'FFF0'0000, 0x8000'0000'1000};
  CHECK(find_mutants({{low, across}, {low}}, Kind::deny) ==
        Names{"drop the carry", "> for >=", ">= for >", "a boundary off by a page", "an end off by a page",
              "keep the tag bits", "forget an advice", "take NOREPLACE for FIXED"});
  // The short program of one seal, where an address taken for one before the range still ends behind its
  // start.
  CHECK(find_mutants({{low}, {low}}, Kind::deny_common) ==
        Names{"an end off by a page", "keep the tag bits", "forget an advice", "take NOREPLACE for FIXED"});
  // Many under one upper word, which are searched by their distance from the first.
  std::vector<Range> many;
  for (std::uint64_t index = 0; index < 6; ++index) {
    many.push_back(Range::of(0x7FFF'F000'1000 + index * 0x3000, (1 + index % 2) * kPage));
  }
  CHECK(find_mutants({many, {low}}, Kind::deny_common) ==
        Names{"> for >=", ">= for >", "a boundary off by a page", "keep the tag bits", "forget an advice",
              "take NOREPLACE for FIXED"});
}

}  // namespace
}  // namespace libmseal::tests
