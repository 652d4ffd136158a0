// One line of /proc/PID/mountinfo (proc(5)).
#pragma once

#include <string_view>

namespace libmseal::policy {

// Whether the line is about a procfs that is mounted elsewhere than on /proc.
bool mounts_proc_elsewhere(std::string_view line);

// Whether it is about a procfs, on whatever mount point.
bool mounts_proc(std::string_view line);

// Whether it is about a procfs that hides processes from users who may not trace them (hidepid=).
bool hides_processes(std::string_view line);

}  // namespace libmseal::policy
