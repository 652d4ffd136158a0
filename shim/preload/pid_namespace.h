// Whether every process that may share this memory can be seen from here.
//
// A process that was cloned with CLONE_VM and CLONE_NEWPID sees only its new pid namespace, and not its
// parent, which has the same memory. The namespace in which the image was started shows all of them: nobody
// shared the memory then, and children are born in their parent's namespace or below (pid_namespaces(7)).
#pragma once

namespace libmseal::shim {

// To be called while the image starts.
void note_pid_namespace();

// Whether this is still the namespace of the start: 0, or what mseal answers.
long check_pid_namespace();

}  // namespace libmseal::shim
