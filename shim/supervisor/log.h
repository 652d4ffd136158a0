// Where the supervisor's log goes.
#pragma once

#include "policy/options.h"

namespace libmseal::supervisor {

// Opens the log that the options name. 0, or errno: then it goes to syslog. A convenience: a path that can't
// be written is no reason to leave a program without its supervisor.
int open_log(const policy::Options& options);

}  // namespace libmseal::supervisor
