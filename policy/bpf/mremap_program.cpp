#include "policy/bpf/mremap_program.h"

#include "policy/bpf/call_fields.h"
#include "policy/rules/mm_call.h"

namespace libmseal::policy {

using Label = BpfProgram::Label;

Label MremapProgram::decide(Label refuse) {
  // An old size of 0, also after rounding up has wrapped, means the page at the old address.
  const auto source_then = [&](Label sized, Label next) {
    const Label one_byte = range_.set_one_byte(0, next);
    out_.branch(BPF_JGT, low(0 - machine_.page_size), one_byte, sized);
    const Label low_of_huge = out_.load(low_of(1));
    out_.branch(BPF_JEQ, 0, one_byte, sized);
    const Label low_of_small = out_.load(low_of(1));
    const Label huge = out_.branch(BPF_JEQ, ~0U, low_of_huge, sized);
    out_.branch(BPF_JEQ, 0, low_of_small, huge);
    return range_.load_high(1);
  };
  const Label source = source_then(searches_.given(), searches_.ranges());
  const Label sized = range_.set(0, 1, searches_.both());
  const Label target = range_.set(4, 2, range_.keep(source_then(sized, searches_.both())));
  const Label with_target = huge_.if_partly(4, 2, refuse, huge_.if_moved(refuse, target));
  out_.branch(BPF_JSET, kMremapFixed, with_target, source);
  return huge_.if_shrunk(refuse, out_.load(low_of(3)));
}

Label MremapProgram::delegate(Label delegated, bool notifies) {
  // A size of 0 has a zero lower word; sizes with an upper word are wide.
  const Label sized = notifies ? huge_.if_shrunk(delegated, searches_.given()) : searches_.given();
  out_.branch(BPF_JEQ, 0, delegated, sized);
  const Label somewhere = out_.load(low_of(1));
  out_.branch(BPF_JSET, kMremapFixed, delegated, somewhere);
  return out_.load(low_of(3));
}

}  // namespace libmseal::policy
