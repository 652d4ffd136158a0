#include "policy/bpf/huge_page_tests.h"

#include "policy/bpf/call_fields.h"

namespace libmseal::policy {

using Label = BpfProgram::Label;

// `if (argument & mask) goto some; else goto none`
Label HugePageTests::branch_any(std::uint32_t argument, std::uint64_t mask, Label some, Label none) {
  if (high(mask) != 0 && !range_.has_short_arguments()) {
    out_.branch(BPF_JSET, high(mask), some, none);
    none = out_.load(high_of(argument));
  }
  out_.branch(BPF_JSET, low(mask), some, none);
  return out_.load(low_of(argument));
}

Label HugePageTests::if_partly(std::uint32_t address, std::uint32_t length, Label partly, Label next) {
  Label others = next;
  for (const std::uint64_t size : machine_.huge_pages) {
    others = branch_any(address, size - 1, others, branch_any(length, size - 1, partly, others));
  }
  return others;
}

Label HugePageTests::if_moved(Label perhaps, Label next) {
  Label others = next;
  for (const std::uint64_t size : machine_.huge_pages) {
    const std::uint32_t within = low(size - 1) & ~low(machine_.page_size - 1);
    Label ends_in_one = perhaps;
    if (high(size) == 0) {
      out_.branch(BPF_JSET, low(size - 1), perhaps, others);
      out_.add_x();
      ends_in_one = out_.load(low_of(1));
    }
    out_.branch_x(BPF_JEQ, ends_in_one, others);
    out_.mask(within);
    out_.load(low_of(4));
    out_.copy_to_x();
    out_.mask(within);
    others = out_.load(low_of(0));
  }
  return others;
}

Label HugePageTests::if_shrunk(Label shrinks, Label otherwise) {
  const auto load_both = [&](std::uint32_t old_size, std::uint32_t new_size) {
    out_.load(old_size);
    out_.copy_to_x();
    return out_.load(new_size);
  };
  const Label partly = if_partly(0, 1, shrinks, otherwise);
  out_.branch_x(BPF_JGT, partly, otherwise);
  const Label low_words = load_both(low_of(1), low_of(2));
  if (range_.has_short_arguments()) return low_words;
  const Label not_above = out_.branch_x(BPF_JEQ, low_words, otherwise);
  out_.branch_x(BPF_JGT, partly, not_above);
  return load_both(high_of(1), high_of(2));
}

}  // namespace libmseal::policy
