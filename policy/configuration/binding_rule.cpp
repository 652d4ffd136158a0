#include "policy/configuration/binding_rule.h"

#include <cstring>
#include <utility>

#include "policy/configuration/pattern.h"
#include "policy/parsers/text.h"

namespace libmseal::policy {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? std::string_view{} : text.substr(first);
}

bool is_end_or_comment(std::string_view text) {
  const std::string_view rest = without_blanks(text);
  return rest.empty() || rest.front() == '#';
}

bool is_part_of_name(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') || character == '_' || character == '-';
}

// Whether the line may set that key to something else than `unless`.
bool sets_key(std::string_view line, std::string_view key, std::string_view unless) {
  for (std::size_t at = line.find(key); at != std::string_view::npos; at = line.find(key, at + 1)) {
    if (at != 0 && is_part_of_name(line[at - 1])) continue;
    const std::size_t equals = line.find_first_not_of("\"' \t", at + key.size());
    if (equals == std::string_view::npos || (line[equals] != '=' && line[equals] != ':')) continue;
    const std::size_t value = line.find_first_not_of("\"'=: \t", equals);
    if (value == std::string_view::npos || !line.substr(value).starts_with(unless)) return true;
  }
  return false;
}

std::string_view rule_in(std::string_view line) {
  if (sets_key(line, "harden", "[]")) return "harden";
  if (sets_key(line, "require", "libc")) return "require";
  if (sets_key(line, "strict", "false")) return "strict";
  if (sets_key(line, "mode", "enforce")) return "mode";
  return {};
}

// Whether the line may mean something else: a part of a longer line, several lines, or a key with escapes.
bool is_doubtful(std::string_view line) {
  if (line.size() >= BindingRule::kLongestLine || line.find('\0') != std::string_view::npos) return true;
  if (line.find('\r') < line.size() - 1) return true;
  const std::size_t equals = line.find('=');
  return equals != std::string_view::npos && line.find('\\') < equals;
}

}  // namespace

void BindingRule::look_at(std::string_view line) {
  if (!line.empty() && is_doubtful(line)) found_ = "a line that can't be understood";
  if (line.find("\"\"\"") != std::string_view::npos || line.find("'''") != std::string_view::npos) {
    has_long_strings_ = true;
    is_named_ = false;
  }
  if (!has_long_strings_ && is_end_or_comment(line)) return;
  const std::string_view text = without_blanks(line);
  if (text.starts_with('[')) begin_table(text);
  if (const std::string_view rule = rule_in(line); !rule.empty()) (in_program_ ? pending_ : found_) = rule;
  if (in_program_) note_name(text);
}

std::string_view BindingRule::found() {
  end_table();
  return found_;
}

void BindingRule::begin_table(std::string_view header) {
  end_table();
  constexpr std::string_view kProgram = "[[program]]";
  in_program_ =
      !has_long_strings_ && header.starts_with(kProgram) && is_end_or_comment(header.substr(kProgram.size()));
}

void BindingRule::end_table() {
  const bool is_of_others = is_named_ && program_[0] != '\0' && !fits(name_.data(), program_);
  if (!pending_.empty() && !is_of_others) found_ = pending_;
  pending_ = {};
  in_program_ = has_name_ = is_named_ = false;
}

// Takes a name only from a line of the form: name = "text"
void BindingRule::note_name(std::string_view line) {
  if (!sets_key(line, "name", "\n")) return;
  is_named_ = false;
  const bool is_first = !std::exchange(has_name_, true);
  if (has_long_strings_ || !is_first || !take(line, "name")) return;
  line = without_blanks(line);
  if (!take(line, "=")) return;
  line = without_blanks(line);
  const char quote = line.empty() ? '\0' : line.front();
  if (quote != '"' && quote != '\'') return;
  line.remove_prefix(1);
  const std::size_t end = line.find_first_of("\"'\\");
  if (end == std::string_view::npos || line[end] != quote || end >= name_.size()) return;
  if (!is_pattern(line.substr(0, end)) || !is_end_or_comment(line.substr(end + 1))) return;
  std::memcpy(name_.data(), line.data(), end);
  name_[end] = '\0';
  is_named_ = true;
}

}  // namespace libmseal::policy
