// The range that a call touches, as a BPF program represents it during a search.
//
// In a narrow range, start and end have the same upper word. It is given by arguments 0 and 1, and the lower
// word of its end is in X. A wide range can be any range; it is in scratch memory.
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
  // Whether the code written from here on reads only the lower halves of arguments, as 32-bit ABIs do.
  void set_short_arguments(bool is_short) { short_arguments_ = is_short; }

  Label load_high(std::uint32_t argument);
  // Without the tag bits, which the kernel ignores.
  Label load_high_of_address(std::uint32_t argument);

  // Sets the range to arguments 0 and 1 and goes to `next`, a search. If only narrow ranges are supported
  // here, other ranges go to `wide`.
  Label set(Label next, Label wide) { return narrow_ ? set_narrow(next, wide) : set(0, 1, next); }

  // ---- for a search ----

  // Loads the upper word of the start into A and goes to `search`.
  Label begin_search(Label search);
  Label load_start_low();
  // `if (end > bound) goto yes else goto no`. For a narrow range, end and bound have the same upper word, and
  // both are relative to `origin`.
  Label branch_end_past(std::uint64_t bound, std::uint32_t origin, Label yes, Label no);
  // Makes the start in A and the end relative to `origin`. Only for narrow ranges above it.
  Label count_from(std::uint32_t origin, Label next);
  // A hit counts only if the kernel would not refuse the range itself: aligned, not empty, not wrapping.
  Label confirm(Label hit, Label miss);

  // ---- wide ranges alone ----

  // [argument `start`, + argument `length`)
  Label set(std::uint32_t start, std::uint32_t length, Label next);
  // The first byte of the page is enough to touch it.
  Label set_one_byte(std::uint32_t start, Label next);
  // [the next multiple of 4 GiB, + argument `length`). Not for an address that is itself a multiple.
  Label set_above_line(std::uint32_t address, std::uint32_t length, Label next);
  // Saves the range, and restores it.
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
