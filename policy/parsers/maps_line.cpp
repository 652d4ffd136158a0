#include "policy/parsers/maps_line.h"

#include "policy/parsers/text.h"

namespace libmseal::policy {
namespace {

// Takes one permission letter, or '-'.
bool take_flag(std::string_view& text, char letter, char absent, bool& flag) {
  if (text.empty() || (text.front() != letter && text.front() != absent)) return false;
  flag = text.front() == letter;
  text.remove_prefix(1);
  return true;
}

// Takes the label and the spaces after it.
bool take_label(std::string_view& text, std::string_view label) {
  if (!take(text, label)) return false;
  while (take(text, " ")) {
  }
  return true;
}

}  // namespace

std::optional<Vma> parse_maps_line(std::string_view line) {
  Vma vma;
  std::uint64_t device = 0;
  const bool complete =
      take_number(line, 16, vma.range.start) && take(line, "-") && take_number(line, 16, vma.range.end) &&
      take(line, " ") && take_flag(line, 'r', '-', vma.readable) && take_flag(line, 'w', '-', vma.writable) &&
      take_flag(line, 'x', '-', vma.executable) && take_flag(line, 's', 'p', vma.shared) && take(line, " ") &&
      take_number(line, 16, vma.offset) && take(line, " ") && take_number(line, 16, device) &&
      take(line, ":") && take_number(line, 16, device) && take(line, " ") && take_number(line, 10, vma.inode);
  if (!complete || vma.range.empty()) return std::nullopt;
  if (!line.empty() && line.front() != ' ') return std::nullopt;
  while (take(line, " ")) {
  }
  vma.name = line;
  return vma;
}

std::optional<std::uint64_t> parse_page_size_line(std::string_view line) {
  std::uint64_t kibibytes = 0;
  if (!take_label(line, "KernelPageSize:") || !take_number(line, 10, kibibytes) || line != " kB" ||
      kibibytes > (~0ULL >> 10))
    return std::nullopt;
  return kibibytes << 10;
}

std::optional<std::uint32_t> parse_key_line(std::string_view line) {
  constexpr std::uint64_t kMost = 99;  // more than any processor has
  std::uint64_t key = 0;
  if (!take_label(line, "ProtectionKey:") || !take_number(line, 10, key) || !line.empty() || key > kMost)
    return std::nullopt;
  return static_cast<std::uint32_t>(key);
}

}  // namespace libmseal::policy
