// Whether every process that may share this memory is visible in this pid namespace.
//
// A process that was cloned with CLONE_VM and CLONE_NEWPID sees only its new pid namespace, not its parent,
// which shares its memory. In the namespace in which the image was started all sharers are visible: nobody
// shared the memory at start, and children are in their parent's namespace or below (pid_namespaces(7)).
#pragma once

namespace libmseal::shim {

// To be called while the image starts.
void note_pid_namespace();

// 0 if this is still the namespace of the start, and /proc is that of this namespace; or the error for mseal.
long check_pid_namespace();

}  // namespace libmseal::shim
