// Whether every process that may share this memory is visible in this pid namespace.
//
// A process that was cloned with CLONE_VM and CLONE_NEWPID sees only its new pid namespace, not its parent,
// which shares its memory. In the namespace in which the image was started all sharers are visible: nobody
// shared the memory at start, and children are in their parent's namespace or below (pid_namespaces(7)). The
// same holds where the library is loaded later, unless it is loaded by a process that may be such a child.
#pragma once

#include <cstdint>

#include "shim/common/proc_root.h"

namespace libmseal::shim {

// To be called while the library starts.
void note_pid_namespace();

enum class NamespaceIs : std::uint8_t {
  first,        // that of the start, and /proc shows it
  another,      // not that of the start
  of_fork,      // that of the start, but an older process outside may share the memory
  not_of_proc,  // not the one that /proc shows
  unreadable,   // with an error, which may be temporary
};
struct PidNamespace {
  NamespaceIs is;
  long error;
};
PidNamespace present_pid_namespace(const ProcRoot& proc);

// 0 if it is the first one, or the error for mseal after a message.
long explain(const PidNamespace& present);
long check_pid_namespace();

}  // namespace libmseal::shim
