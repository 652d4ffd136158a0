// Finds rules without which a program must not start, in a policy file that can't be parsed.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "policy/configuration/pattern.h"

namespace libmseal::policy {

// Not a real parser of TOML. If it is not certain, a rule is treated as present and as applying to the
// program.
class BindingRule {
 public:
  // In bytes. A longer one may be given in part.
  static constexpr std::size_t kLongestLine = 8000;

  // The path of the program's file; empty if it is not known.
  explicit BindingRule(const char* program) : program_(program) {}

  void look_at(std::string_view line);
  // After the last line: the name of the rule; empty if there is none.
  [[nodiscard]] std::string_view found();

 private:
  void begin_table(std::string_view header);
  void end_table();
  void note_name(std::string_view line);

  const char* program_;
  std::string_view found_;
  bool has_long_strings_ = false;  // a line may be part of one
  // Of the table [[program]] that is being read.
  bool in_program_ = false;
  std::string_view pending_;  // the rule in it
  bool has_name_ = false;     // perhaps one that can't be read
  bool is_named_ = false;     // by name_, and certainly
  std::array<char, kLongestPattern + 1> name_{};
};

}  // namespace libmseal::policy
