// Runs a filter symbolically: what it returns, as conditions on the call.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <z3++.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace libmseal::tests {

inline constexpr unsigned kWord = 32;

inline z3::expr bits(z3::context& context, std::uint32_t value) {
  return context.bv_val(std::uint64_t{value}, kWord);
}

// Free arguments of a call.
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
  SymbolicRun(z3::context& context, const Input& input, z3::expr arch, z3::expr call_number)
      : context_(context), input_(input), arch_(std::move(arch)), number_(std::move(call_number)) {}

  // The conditions under which the program returns each of its actions.
  std::map<std::uint32_t, z3::expr> outcomes(std::span<const sock_filter> program) {
    std::vector<std::unique_ptr<State>> states(program.size() + 1);
    states[0] = std::make_unique<State>(first());
    std::map<std::uint32_t, z3::expr> reached;
    for (std::size_t pc = 0; pc < program.size(); ++pc) {
      if (!states[pc]) continue;
      const State state = *states[pc];
      const sock_filter& one = program[pc];
      if (one.code == (BPF_RET | BPF_K)) {
        z3::expr& so_far = reached.try_emplace(one.k, context_.bool_val(false)).first->second;
        so_far = so_far || state.condition;
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
    return {context_.bool_val(true), zero, zero, std::vector<z3::expr>(8, zero)};
  }

  z3::expr word(std::uint32_t value) { return bits(context_, value); }

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
      case BPF_MISC | BPF_TXA:
        state.a = state.x;
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
    if (offset == offsetof(seccomp_data, nr)) return number_;
    if (offset == offsetof(seccomp_data, arch)) return arch_;
    const std::uint32_t in_arguments = offset - static_cast<std::uint32_t>(offsetof(seccomp_data, args));
    const z3::expr& argument = input_.arguments.at(in_arguments / 8);
    return in_arguments % 8 == 0 ? argument.extract(31, 0) : argument.extract(63, 32);
  }

  z3::context& context_;
  const Input& input_;
  z3::expr arch_;
  z3::expr number_;
};

}  // namespace libmseal::tests
