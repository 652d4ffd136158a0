// The supervisor's log. Only log.cpp uses spdlog.
#pragma once

#include <string>

#include "policy/configuration/options.h"
#include "shim/supervisor/events/format.h"

namespace libmseal::supervisor {

// Opens the log that the options name. 0, or errno: then syslog is used, because a program should have its
// supervisor even if the log can't be written.
int open_log(const policy::Options& options);

enum class Level { debug = 1, info, warning, error, critical };  // as in spdlog

// Whether lines of this level are written.
[[nodiscard]] bool logs(Level level);
void write_to_log(Level level, const std::string& line);
// Without the rate limit: the caller limits refusals.
void write_refusal_to_log(const std::string& line);

// Writes the parts, one after the other, as one line.
template <class... Parts>
void log(Level level, const Parts&... parts) {
  if (logs(level)) write_to_log(level, text(parts...));
}

}  // namespace libmseal::supervisor
