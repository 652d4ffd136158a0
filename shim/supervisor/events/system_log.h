// Writes to syslog without blocking, unlike syslog(3).
#pragma once

#include <string_view>

#include "shim/common/no_copy.h"

namespace libmseal::supervisor {

class SystemLog : shim::NoCopy {
 public:
  explicit SystemLog(const char* path = "/dev/log") : path_(path) {}
  ~SystemLog();

  // Writes one line with a severity such as LOG_WARNING. 0, or errno: then it is lost.
  int write(int severity, std::string_view line);

 private:
  int connect_to(int type);
  void disconnect();

  const char* path_;
  int socket_ = -1;
};

}  // namespace libmseal::supervisor
