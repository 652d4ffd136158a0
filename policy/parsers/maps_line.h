// One line of /proc/PID/maps or smaps (proc(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/rules/vma.h"

namespace libmseal::policy {

// Nothing if the line is malformed.
std::optional<Vma> parse_maps_line(std::string_view line);

// The bytes in a "KernelPageSize:" line of /proc/PID/smaps; nothing for any other line.
std::optional<std::uint64_t> parse_page_size_line(std::string_view line);

// The key in a "ProtectionKey:" line of the same; nothing for any other line.
std::optional<std::uint32_t> parse_key_line(std::string_view line);

}  // namespace libmseal::policy
