// The range that a call touches, as a BPF program holds it during its search.
//
// A narrow range ends under the upper word of its start. It is arguments 0 and 1, and the lower word of its
// end is kept in X. A wide one may be any: it is kept in scratch memory.
#pragma once

#include <cstdint>

#include "policy/bpf/bpf_program.h"
#include "policy/rules/abi.h"

namespace libmseal::policy {

class CallRange {
 public:
  using Label = BpfProgram::Label;

  CallRange(const Machine& machine, bool narrow, BpfProgram& program)
      : machine_(machine), narrow_(narrow), out_(program) {}

  [[nodiscard]] bool is_narrow() const { return narrow_; }
  [[nodiscard]] bool has_short_arguments() const { return short_arguments_; }
  // The ABI from here on: what the kernel does not read of an argument is not read.
  void set_short_arguments(bool is_short) { short_arguments_ = is_short; }

  Label load_high(std::uint32_t argument);
  // Stripped of the bits that the kernel does not look at.
  Label load_high_of_address(std::uint32_t argument);

  // Arguments 0 and 1 are the range, then on to `next`, a search. `wide` is where a range goes that is not
  // narrow.
  Label set(Label next, Label wide) { return narrow_ ? set_narrow(next, wide) : set(0, 1, next); }

  // ---- for a search ----

  // What a search starts with. It needs the upper word of the start in A.
  Label begin_search(Label search);
  Label load_start_low();
  // `if (end > bound) goto yes else goto no`. A narrow range: its end and the bound have the same upper word,
  // and both count from `origin`.
  Label branch_end_past(std::uint64_t bound, std::uint32_t origin, Label yes, Label no);
  // The start in A and the end count from `origin` now. Of narrow ranges above it.
  Label count_from(std::uint32_t origin, Label next);
  // A hit counts only if the kernel would not refuse the range itself: aligned, not empty, not wrapping.
  Label confirm(Label hit, Label miss);

  // ---- wide ranges alone ----

  // [argument `start`, + argument `length`)
  Label set(std::uint32_t start, std::uint32_t length, Label next);
  // [argument `start`, one byte on): enough to touch the page.
  Label set_one_byte(std::uint32_t start, Label next);
  // [the multiple of 4 GiB above the address, + argument `length`). Not for an address that is one.
  Label set_above_line(std::uint32_t address, std::uint32_t length, Label next);
  // Keeps the range for later, and takes it back.
  Label keep(Label next);
  Label take_kept(Label next);

 private:
  Label set_narrow(Label next, Label wide);
  Label store_start(std::uint32_t argument);
  Label copy(std::uint32_t from, std::uint32_t to, Label next);

  const Machine& machine_;
  const bool narrow_;
  bool short_arguments_ = false;
  BpfProgram& out_;
};

}  // namespace libmseal::policy
