// The part of a program for mremap, which touches two ranges.
#pragma once

#include "policy/bpf/bpf_program.h"
#include "policy/bpf/call_range.h"
#include "policy/bpf/call_searches.h"
#include "policy/bpf/huge_page_tests.h"
#include "policy/rules/abi.h"

namespace libmseal::policy {

class MremapProgram {
 public:
  using Label = BpfProgram::Label;

  MremapProgram(const Machine& machine, CallSearches& searches, CallRange& range, HugePageTests& huge,
                BpfProgram& program)
      : machine_(machine), searches_(searches), range_(range), huge_(huge), out_(program) {}

  // Decides every call.
  Label decide(Label refuse);
  // Leaves calls that may touch more than the old range to `delegated`.
  Label delegate(Label delegated, bool notifies);

 private:
  const Machine& machine_;
  CallSearches& searches_;
  CallRange& range_;
  HugePageTests& huge_;
  BpfProgram& out_;
};

}  // namespace libmseal::policy
