#include "policy/rules/protection_key.h"

namespace libmseal::policy {

std::optional<std::uint32_t> parse_key_line(std::string_view line) {
  constexpr std::string_view kLabel = "ProtectionKey:";
  if (!line.starts_with(kLabel)) return std::nullopt;
  line.remove_prefix(kLabel.size());
  while (line.starts_with(' ')) line.remove_prefix(1);
  if (line.empty() || line.size() > 2) return std::nullopt;
  std::uint32_t key = 0;
  for (const char digit : line) {
    if (digit < '0' || digit > '9') return std::nullopt;
    key = key * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  return key;
}

}  // namespace libmseal::policy
