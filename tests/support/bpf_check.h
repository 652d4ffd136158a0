// The kernel's own check of a classic BPF program for seccomp, ported: bpf_check_classic() and
// check_load_and_stores() in net/core/filter.c, seccomp_check_filter() in kernel/seccomp.c. A program that
// fails here is refused with EINVAL.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <span>
#include <vector>

#include "policy/bpf/evaluator.h"

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
  return policy::is_program(program) && loads_what_was_stored(program);
}

}  // namespace libmseal::tests
