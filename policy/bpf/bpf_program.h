// An assembler for classic BPF as seccomp runs it.
//
// All jumps of classic BPF go forward, so a program is written from its last instruction to its first: every
// jump target exists already and has a known position. A jump too long for the 8-bit offset of a condition
// goes through an unconditional jump that is inserted nearby.
//
//   BpfProgram program;
//   const auto allow = program.ret(SECCOMP_RET_ALLOW);
//   const auto refuse = program.ret(SECCOMP_RET_ERRNO | EPERM);
//   program.branch(BPF_JEQ, 10, refuse, allow);   // if A == 10 goto refuse else goto allow
//   program.load(offsetof(seccomp_data, nr));     // A = nr; the program starts here
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace libmseal::policy {

class BpfProgram {
 public:
  // The position of an instruction, counted from the end of the program.
  using Label = std::uint32_t;

  [[nodiscard]] Label front() const { return size_; }

  Label ret(std::uint32_t action) { return emit(BPF_RET | BPF_K, action); }
  Label load(std::uint32_t offset) { return emit(BPF_LD | BPF_W | BPF_ABS, offset); }
  Label load_scratch(std::uint32_t slot) { return emit(BPF_LD | BPF_MEM, slot); }
  Label load_value(std::uint32_t value) { return emit(BPF_LD | BPF_IMM, value); }
  Label copy_to_x() { return emit(BPF_MISC | BPF_TAX, 0); }
  Label copy_from_x() { return emit(BPF_MISC | BPF_TXA, 0); }
  Label store_scratch(std::uint32_t slot) { return emit(BPF_ST, slot); }
  Label load_scratch_x(std::uint32_t slot) { return emit(BPF_LDX | BPF_MEM, slot); }
  Label add_x() { return emit(BPF_ALU | BPF_ADD | BPF_X, 0); }
  Label add(std::uint32_t value) { return emit(BPF_ALU | BPF_ADD | BPF_K, value); }  // NOLINT: both are 0
  Label mask(std::uint32_t value) { return emit(BPF_ALU | BPF_AND | BPF_K, value); }

  // `goto target`, or nothing if target is the next instruction.
  Label jump(Label target);
  // `if (A condition value) goto yes; else goto no;` with BPF_JEQ, BPF_JGT, BPF_JGE or BPF_JSET.
  Label branch(std::uint16_t condition, std::uint32_t value, Label yes, Label no);
  // The same against X.
  Label branch_x(std::uint16_t condition, Label yes, Label no);
  // Prepends a finished program that uses no scratch memory. Each value that it returns is replaced by
  // `action(value)`, and instructions that this makes useless are left out.
  template <class Action>
  Label prepend(std::span<const sock_filter> program, Action action);

  // Returns `by` wherever it returns `action`.
  void replace_action(std::uint32_t action, std::uint32_t by) {
    for (sock_filter& one : std::span(code_).last(size_)) {
      if (one.code == (BPF_RET | BPF_K) && one.k == action) one.k = by;
    }
  }

  // False if the program did not fit: it is unusable.
  [[nodiscard]] bool complete() const { return !overflow_; }
  [[nodiscard]] std::span<const sock_filter> instructions() const {
    return {code_.data() + (code_.size() - size_), size_};
  }
  void clear() {
    size_ = 0;
    bridges_ = {};
    overflow_ = false;
  }

 private:
  Label emit(std::uint16_t code, std::uint32_t k, std::uint8_t jt = 0, std::uint8_t jf = 0);
  Label emit_branch(std::uint16_t code, std::uint32_t k, Label yes, Label no);
  // Whether the instruction there does not use A.
  [[nodiscard]] bool forgets_a(Label at) const {
    const std::uint16_t code = code_[code_.size() - at].code;
    return code == (BPF_RET | BPF_K) || code == (BPF_LD | BPF_W | BPF_ABS);
  }
  // `target`, or an unconditional jump to it within reach of a condition here.
  Label within_reach(Label target, std::uint32_t reach);

  // The latest unconditional jumps, for reuse: many conditions go to the same few distant targets.
  struct Bridge {
    Label target = 0;
    Label at = 0;
  };

  std::array<sock_filter, BPF_MAXINSNS> code_{};
  std::array<Bridge, 4> bridges_{};
  std::uint32_t size_ = 0;
  bool overflow_ = false;
};

template <class Action>
BpfProgram::Label BpfProgram::prepend(std::span<const sock_filter> program, Action action) {
  std::array<Label, 256> labels{};  // of its instructions
  if (program.empty() || program.size() > labels.size()) {
    overflow_ = true;
    return size_;
  }
  const auto is_return = [](const sock_filter& one) { return one.code == (BPF_RET | BPF_K); };
  // Equal actions share a return.
  const auto returning = [&](std::size_t at) {
    const std::uint32_t wanted = action(program[at].k);
    for (std::size_t later = at + 1; later < program.size(); ++later) {
      if (is_return(program[later]) && action(program[later].k) == wanted) return labels[later];
    }
    return ret(wanted);
  };
  for (std::size_t at = program.size(); at > 0;) {
    const sock_filter& one = program[--at];
    Label& label = labels[at];
    if (is_return(one)) {
      label = returning(at);
    } else if (one.code == (BPF_JMP | BPF_JA)) {
      label = labels[at + 1 + one.k];
    } else if (BPF_CLASS(one.code) == BPF_JMP) {
      const Label yes = labels[at + 1 + one.jt];
      const Label no = labels[at + 1 + one.jf];
      label = yes == no ? yes : emit_branch(one.code, one.k, yes, no);
    } else {
      label = labels[at + 1];
      if (forgets_a(label)) continue;
      jump(label);
      label = emit(one.code, one.k);
    }
  }
  return jump(labels[0]);
}

}  // namespace libmseal::policy
