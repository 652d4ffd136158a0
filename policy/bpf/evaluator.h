// A user-space interpreter of the classic BPF that seccomp accepts (seccomp_check_filter() in
// kernel/seccomp.c): runs a filter over one call and returns its action.
//
// The kernel refuses any other program. Here it kills, because the memory of a filter that the kernel has
// accepted may have changed since.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace libmseal::policy {

inline constexpr std::uint16_t kNegate = BPF_ALU | BPF_NEG;

// The arithmetic instructions with two operands; nothing for another one. Shifts take five bits, as in the
// kernel's 32-bit instructions.
inline std::optional<std::uint32_t> calculate(std::uint16_t operation, std::uint32_t a,
                                              std::uint32_t operand) noexcept {
  switch (BPF_OP(operation)) {
    case BPF_ADD:
      return a + operand;
    case BPF_SUB:
      return a - operand;
    case BPF_MUL:
      return a * operand;
    case BPF_DIV:
      return a / operand;
    case BPF_AND:
      return a & operand;
    case BPF_OR:
      return a | operand;
    case BPF_XOR:
      return a ^ operand;
    case BPF_LSH:
      return a << (operand & 31);
    case BPF_RSH:
      return a >> (operand & 31);
    default:
      return std::nullopt;
  }
}

// Whether a conditional jump is taken; nothing for another instruction.
inline std::optional<bool> is_taken(std::uint16_t code, std::uint32_t a, std::uint32_t operand) noexcept {
  switch (code & ~BPF_X) {
    case BPF_JMP | BPF_JEQ:
      return a == operand;
    case BPF_JMP | BPF_JGT:
      return a > operand;
    case BPF_JMP | BPF_JGE:
      return a >= operand;
    case BPF_JMP | BPF_JSET:
      return (a & operand) != 0;
    default:
      return std::nullopt;
  }
}

// Whether the kernel accepts it as a filter, if it loads no scratch memory that it has not stored.
inline bool is_program(std::span<const sock_filter> program) noexcept {
  if (program.empty() || program.size() > BPF_MAXINSNS) return false;
  const auto is_right = [&](std::size_t pc) {
    const sock_filter& one = program[pc];
    const std::size_t left = program.size() - pc - 1;
    const bool by_number = BPF_SRC(one.code) == BPF_K;
    switch (BPF_CLASS(one.code)) {
      case BPF_LD:
      case BPF_LDX:
        if (one.code == (BPF_LD | BPF_W | BPF_ABS)) return one.k % 4 == 0 && one.k < sizeof(seccomp_data);
        if (BPF_MODE(one.code) == BPF_MEM) return BPF_SIZE(one.code) == BPF_W && one.k < BPF_MEMWORDS;
        return BPF_SIZE(one.code) == BPF_W &&
               (BPF_MODE(one.code) == BPF_IMM || BPF_MODE(one.code) == BPF_LEN);
      case BPF_ST:
      case BPF_STX:
        return (one.code == BPF_ST || one.code == BPF_STX) && one.k < BPF_MEMWORDS;
      case BPF_ALU:
        if (one.code == kNegate) return true;
        if (BPF_OP(one.code) == BPF_DIV) return !by_number || one.k != 0;
        if (BPF_OP(one.code) == BPF_LSH || BPF_OP(one.code) == BPF_RSH) return !by_number || one.k < 32;
        return calculate(one.code, 1, 1).has_value();
      case BPF_JMP:
        if (one.code == (BPF_JMP | BPF_JA)) return one.k < left;
        return BPF_OP(one.code) >= BPF_JEQ && BPF_OP(one.code) <= BPF_JSET && one.jt < left && one.jf < left;
      case BPF_RET:
        return one.code == (BPF_RET | BPF_K) || one.code == (BPF_RET | BPF_A);
      default:
        return one.code == (BPF_MISC | BPF_TAX) || one.code == (BPF_MISC | BPF_TXA);
    }
  };
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    if (!is_right(pc)) return false;
  }
  return BPF_CLASS(program.back().code) == BPF_RET;
}

// `steps`: counts the instructions that are run.
inline std::uint32_t evaluate(std::span<const sock_filter> program, const seccomp_data& data,
                              std::size_t* steps = nullptr) noexcept {
  std::uint32_t a = 0;
  std::uint32_t x = 0;
  std::uint32_t scratch[BPF_MEMWORDS] = {};
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& one = program[pc];
    if (steps != nullptr) ++*steps;
    const std::uint32_t operand = BPF_SRC(one.code) == BPF_X ? x : one.k;
    if (const auto taken = is_taken(one.code, a, operand)) {
      pc += *taken ? one.jt : one.jf;
      continue;
    }
    if (const std::uint16_t operation = one.code & ~BPF_X;
        BPF_CLASS(one.code) == BPF_ALU && operation != kNegate) {
      if (operation == (BPF_ALU | BPF_DIV) && operand == 0)
        return SECCOMP_RET_KILL_THREAD;  // 0, as in the kernel
      const auto result = calculate(operation, a, operand);
      if (!result) return SECCOMP_RET_KILL_PROCESS;
      a = *result;
      continue;
    }
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (one.k % 4 != 0 || one.k > sizeof data - 4) return SECCOMP_RET_KILL_PROCESS;
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + one.k, 4);
        break;
      case BPF_LD | BPF_MEM:
        a = scratch[one.k % BPF_MEMWORDS];
        break;
      case BPF_LDX | BPF_MEM:
        x = scratch[one.k % BPF_MEMWORDS];
        break;
      case BPF_LD | BPF_IMM:
        a = one.k;
        break;
      case BPF_LDX | BPF_IMM:
        x = one.k;
        break;
      case BPF_ST:
        scratch[one.k % BPF_MEMWORDS] = a;
        break;
      case BPF_STX:
        scratch[one.k % BPF_MEMWORDS] = x;
        break;
      case BPF_MISC | BPF_TAX:
        x = a;
        break;
      case BPF_MISC | BPF_TXA:
        a = x;
        break;
      case BPF_LD | BPF_W | BPF_LEN:
        a = sizeof data;
        break;
      case BPF_LDX | BPF_W | BPF_LEN:
        x = sizeof data;
        break;
      case kNegate:
        a = 0 - a;
        break;
      case BPF_JMP | BPF_JA:
        pc += one.k;
        break;
      case BPF_RET | BPF_K:
        return one.k;
      case BPF_RET | BPF_A:
        return a;
      default:
        return SECCOMP_RET_KILL_PROCESS;
    }
  }
  return SECCOMP_RET_KILL_PROCESS;
}

}  // namespace libmseal::policy
