// The supervisor's log. spdlog is known to log.cpp alone.
#pragma once

#include <string>

#include "policy/configuration/options.h"
#include "shim/supervisor/text.h"

namespace libmseal::supervisor {

// Opens the log that the options name. 0, or errno: then it goes to syslog. A convenience: a path that can't
// be written is no reason to leave a program without its supervisor.
int open_log(const policy::Options& options);

enum class Level { debug, info, warning, error, critical };

// Whether lines of this level are written.
[[nodiscard]] bool logs(Level level);
void write_to_log(Level level, const std::string& line);
// Not limited in number: that is for the caller to do.
void write_refusal_to_log(const std::string& line);

// Writes the parts, one after the other, as one line.
template <class... Parts>
void log(Level level, const Parts&... parts) {
  if (logs(level)) write_to_log(level, text(parts...));
}

}  // namespace libmseal::supervisor
