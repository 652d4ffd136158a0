// Installs seccomp filters.
#pragma once

#include <span>

#include "policy/bpf/bpf_program.h"

namespace libmseal::shim {

// Installs a filter in every thread of the process. Returns the listener's descriptor if `with_listener`,
// else 0; or -errno: ESRCH if a thread has filters that this one lacks, EBUSY if there is a listener already,
// ENOMEM if the kernel's limit for filters is reached.
//
// Sets no_new_privs if the process may not install filters without it.
long install_filter(std::span<const sock_filter> program, bool with_listener);

// Whether a filter with a listener could be installed at all: 0 or -errno, as install_filter would fail.
long probe_listener();

}  // namespace libmseal::shim
