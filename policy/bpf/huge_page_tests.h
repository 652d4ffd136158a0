// Tests whether huge pages may make a call change more memory than its arguments say.
#pragma once

#include <cstdint>

#include "policy/bpf/bpf_program.h"
#include "policy/bpf/call_range.h"
#include "policy/rules/abi.h"

namespace libmseal::policy {

class HugePageTests {
 public:
  using Label = BpfProgram::Label;

  HugePageTests(const Machine& machine, const CallRange& range, BpfProgram& program)
      : machine_(machine), range_(range), out_(program) {}

  // Goes to `partly` if the address is a huge page boundary and the length is not a multiple of that size:
  // the kernel rounds the length up if the range consists of huge pages.
  Label if_partly(std::uint32_t address, std::uint32_t length, Label partly, Label next);

  // For mremap with a target. Since 6.17 it can move several mappings at once (mm/mremap.c, remap_move). Huge
  // pages can be among them only if source and target have the same offset in a huge page; the kernel then
  // rounds the end up. For sizes above 4 GiB, only the lower words are compared.
  Label if_moved(Label perhaps, Label next);

  // For mremap. If huge pages begin at the old address, shrinking unmaps up to a multiple of their size.
  Label if_shrunk(Label shrinks, Label otherwise);

 private:
  Label branch_any(std::uint32_t argument, std::uint64_t mask, Label some, Label none);

  const Machine& machine_;
  const CallRange& range_;
  BpfProgram& out_;
};

}  // namespace libmseal::policy
