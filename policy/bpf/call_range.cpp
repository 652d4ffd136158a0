#include "policy/bpf/call_range.h"

#include "policy/bpf/call_fields.h"

namespace libmseal::policy {
namespace {

using Label = BpfProgram::Label;

// Scratch memory for a wide range, and from kKept on for a saved one.
enum Slot : std::uint32_t { kStartLow, kStartHigh, kEndLow, kEndHigh, kKept };

}  // namespace

Label CallRange::load_high(std::uint32_t argument) {
  return short_arguments_ ? out_.load_value(0) : out_.load(high_of(argument));
}

Label CallRange::load_high_of_address(std::uint32_t argument) {
  if (!short_arguments_ && high(machine_.address_mask) != ~0U) out_.mask(high(machine_.address_mask));
  return load_high(argument);
}

Label CallRange::set_narrow(Label next, Label wide) {
  out_.jump(next);
  load_high_of_address(0);
  const Label fits = out_.copy_to_x();
  out_.branch_x(BPF_JGE, fits, wide);  // the sum is below an addend only if it wrapped
  out_.add_x();
  out_.load(low_of(0));
  out_.copy_to_x();
  const Label low_words = out_.load(low_of(1));
  if (short_arguments_) return low_words;
  out_.branch(BPF_JEQ, 0, low_words, wide);
  return out_.load(high_of(1));
}

// ---- for a search ----

Label CallRange::begin_search(Label search) {
  out_.jump(search);
  return narrow_ ? out_.front() : out_.load_scratch(kStartHigh);
}

Label CallRange::load_start_low() {
  return narrow_ ? out_.load(low_of(0)) : out_.load_scratch(kStartLow);
}

Label CallRange::branch_end_past(std::uint64_t bound, std::uint32_t origin, Label yes, Label no) {
  out_.branch(BPF_JGT, low(bound) - origin, yes, no);
  if (narrow_) return out_.copy_from_x();
  const Label low_halves = out_.load_scratch(kEndLow);
  const Label equal = out_.branch(BPF_JEQ, high(bound), low_halves, no);
  out_.branch(BPF_JGT, high(bound), yes, equal);
  return out_.load_scratch(kEndHigh);
}

Label CallRange::count_from(std::uint32_t origin, Label next) {
  out_.jump(next);
  out_.add(0 - origin);
  load_start_low();
  out_.copy_to_x();
  out_.add(0 - origin);
  return out_.copy_from_x();
}

Label CallRange::confirm(Label hit, Label miss) {
  if (narrow_) {
    out_.branch(BPF_JEQ, 0, miss, hit);
    const Label length = out_.load(low_of(1));
    out_.branch(BPF_JSET, low(machine_.page_size - 1), miss, length);
    return load_start_low();
  }
  out_.branch_x(BPF_JGT, hit, miss);
  out_.load_scratch_x(kStartLow);
  const Label low_halves = out_.load_scratch(kEndLow);
  const Label equal = out_.branch_x(BPF_JEQ, low_halves, miss);
  out_.branch_x(BPF_JGT, hit, equal);
  out_.load_scratch_x(kStartHigh);
  const Label high_halves = out_.load_scratch(kEndHigh);
  out_.branch(BPF_JSET, low(machine_.page_size - 1), miss, high_halves);
  return load_start_low();
}

// ---- wide ranges alone ----

Label CallRange::store_start(std::uint32_t argument) {
  out_.store_scratch(kStartLow);
  out_.load(low_of(argument));
  out_.store_scratch(kStartHigh);
  return load_high_of_address(argument);
}

// Adds in 32-bit halves with carry.
Label CallRange::set(std::uint32_t start, std::uint32_t length, Label next) {
  const auto upper_half = [&](bool carry) {
    out_.jump(next);
    out_.store_scratch(kEndHigh);
    if (carry) out_.add(1);
    out_.add_x();
    out_.load_scratch_x(kStartHigh);
    return load_high(length);
  };
  const Label without_carry = upper_half(false);
  const Label with_carry = upper_half(true);
  out_.branch_x(BPF_JGE, without_carry, with_carry);  // the sum is below an addend only if it wrapped
  out_.store_scratch(kEndLow);
  out_.add_x();
  out_.load_scratch_x(kStartLow);
  out_.load(low_of(length));
  return store_start(start);
}

Label CallRange::set_one_byte(std::uint32_t start, Label next) {
  out_.jump(next);
  out_.store_scratch(kEndHigh);
  out_.load_scratch(kStartHigh);
  out_.store_scratch(kEndLow);
  out_.add(1);
  out_.load_scratch(kStartLow);
  return store_start(start);
}

Label CallRange::set_above_line(std::uint32_t address, std::uint32_t length, Label next) {
  out_.jump(next);
  out_.store_scratch(kEndHigh);
  out_.add_x();
  out_.load_scratch_x(kStartHigh);
  load_high(length);
  out_.store_scratch(kEndLow);
  out_.load(low_of(length));
  out_.store_scratch(kStartLow);
  out_.load_value(0);
  out_.store_scratch(kStartHigh);
  out_.add(1);
  return load_high_of_address(address);
}

Label CallRange::copy(std::uint32_t from, std::uint32_t to, Label next) {
  out_.jump(next);
  for (std::uint32_t slot = 0; slot < kKept; ++slot) {
    out_.store_scratch(to + slot);
    out_.load_scratch(from + slot);
  }
  return out_.front();
}

Label CallRange::keep(Label next) {
  return copy(0, kKept, next);
}

Label CallRange::take_kept(Label next) {
  return copy(kKept, 0, next);
}

}  // namespace libmseal::policy
