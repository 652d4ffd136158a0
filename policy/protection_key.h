// Protection keys (pkeys(7)): memory that a thread may write or not as its own register says.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace libmseal::policy {

// The key in a "ProtectionKey:" line of /proc/PID/smaps; nothing for any other line.
std::optional<std::uint32_t> parse_key_line(std::string_view line);

// Whether a thread with this PKRU register may write memory with this key: two bits a key, the lower one
// forbids all access, the upper one writing.
constexpr bool may_write(std::uint32_t pkru, std::uint32_t key) {
  return key < 16 && (pkru >> (2 * key) & 3U) == 0;
}

}  // namespace libmseal::policy
