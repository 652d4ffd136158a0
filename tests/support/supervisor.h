// Finding our supervisor, for what is aimed at it.
#pragma once

#include <sys/types.h>

#include <fstream>
#include <string>

namespace libmseal::tests {

// Its pid stands in its log; 0 if there is none.
inline pid_t supervisor_of(const char* log) {
  std::ifstream file(log);
  const std::string key = "[info] supervisor ";
  for (std::string line; std::getline(file, line);) {
    const std::size_t at = line.find(key);
    if (at != std::string::npos) return static_cast<pid_t>(std::stol(line.substr(at + key.size())));
  }
  return 0;
}

}  // namespace libmseal::tests
