// Whether every process that may share this memory can be seen from here.
//
// One that is cloned with CLONE_VM and CLONE_NEWPID sees the processes of its new pid namespace alone, and
// not the one that made it. From the namespace in which the image was started, all are seen: nobody had the
// memory then, and a process can only be born in its parent's namespace or below (pid_namespaces(7)).
#pragma once

namespace libmseal::shim {

// To be called while the image starts.
void note_pid_namespace();

// Whether this is still that one: 0, or what mseal answers.
long check_pid_namespace();

}  // namespace libmseal::shim
