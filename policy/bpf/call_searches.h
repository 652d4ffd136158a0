// The searches of a program for what a call touches, each written when it is first needed.
#pragma once

#include "policy/bpf/bpf_program.h"
#include "policy/bpf/call_range.h"
#include "policy/bpf/range_program.h"

namespace libmseal::policy {

class CallSearches {
 public:
  using Label = BpfProgram::Label;

  // Where searches end.
  struct Ends {
    Label allow = 0;
    Label refuse = 0;
    Label delegated = 0;
  };

  CallSearches(const RangeProgram& what, CallRange& range, BpfProgram& program)
      : what_(what), range_(range), out_(program) {}

  // To be called first.
  void write(const Ends& ends);

  // Searches the denied ranges, or the contents, for the range that is set.
  [[nodiscard]] Label ranges() const { return ranges_; }
  [[nodiscard]] Label contents() const { return contents_; }
  [[nodiscard]] bool is_one() const { return contents_ == ranges_; }

  // Searches the range given by arguments 0 and 1.
  Label given();
  // Searches the range, then the saved one.
  Label both();

 private:
  const RangeProgram& what_;
  CallRange& range_;
  BpfProgram& out_;
  Ends ends_;
  Label ranges_ = 0;
  Label contents_ = 0;

  // 0: not written yet.
  Label both_ = 0;
  Label given_ = 0;
  Label short_given_ = 0;
};

}  // namespace libmseal::policy
