// The kernel's own check of a classic BPF program for seccomp, ported: bpf_check_classic() and
// check_load_and_stores() in net/core/filter.c, seccomp_check_filter() in kernel/seccomp.c. A program that
// fails here is refused with EINVAL.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <span>
#include <vector>

namespace libmseal::tests {

inline bool is_conditional_jump(const sock_filter& one) {
  if (BPF_CLASS(one.code) != BPF_JMP) return false;
  switch (one.code & ~BPF_X) {
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_K:
      return true;
    default:
      return false;
  }
}

// The instruction is one that seccomp knows, and what it names exists.
inline bool is_known_instruction(std::span<const sock_filter> program, std::size_t pc) {
  const sock_filter& one = program[pc];
  const std::size_t after = program.size() - pc - 1;  // instructions behind it
  if (is_conditional_jump(one)) return one.jt < after && one.jf < after;
  switch (one.code) {
    case BPF_LD | BPF_W | BPF_ABS:
      return one.k % 4 == 0 && one.k < sizeof(seccomp_data);
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
      return one.k < BPF_MEMWORDS;
    case BPF_JMP | BPF_JA:
      return one.k < after;
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_ALU | BPF_ADD | BPF_K:
    case BPF_ALU | BPF_ADD | BPF_X:
    case BPF_ALU | BPF_SUB | BPF_K:
    case BPF_ALU | BPF_SUB | BPF_X:
    case BPF_ALU | BPF_AND | BPF_K:
    case BPF_ALU | BPF_AND | BPF_X:
    case BPF_ALU | BPF_OR | BPF_K:
    case BPF_ALU | BPF_OR | BPF_X:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
      return true;
    default:
      return false;
  }
}

// Scratch memory is stored on every path that loads it. As in the kernel, what follows a return counts as its
// continuation, for want of a mask of its own.
inline bool loads_what_was_stored(std::span<const sock_filter> program) {
  std::vector<std::uint16_t> masks(program.size(), 0xFFFF);
  std::uint16_t valid = 0;
  const auto reach = [&](std::size_t target) { masks[target] = masks[target] & valid; };
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& one = program[pc];
    valid = valid & masks[pc];
    if (one.code == BPF_ST || one.code == BPF_STX) {
      valid = static_cast<std::uint16_t>(valid | 1U << one.k);
    } else if (one.code == (BPF_LD | BPF_MEM) || one.code == (BPF_LDX | BPF_MEM)) {
      if ((valid & 1U << one.k) == 0) return false;
    } else if (one.code == (BPF_JMP | BPF_JA)) {
      reach(pc + 1 + one.k);
      valid = 0xFFFF;
    } else if (is_conditional_jump(one)) {
      reach(pc + 1 + one.jt);
      reach(pc + 1 + one.jf);
      valid = 0xFFFF;
    }
  }
  return true;
}

inline bool kernel_accepts(std::span<const sock_filter> program) {
  if (program.empty() || program.size() > BPF_MAXINSNS) return false;
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    if (!is_known_instruction(program, pc)) return false;
  }
  const std::uint16_t last = program.back().code;
  return (last == (BPF_RET | BPF_K) || last == (BPF_RET | BPF_A)) && loads_what_was_stored(program);
}

}  // namespace libmseal::tests
