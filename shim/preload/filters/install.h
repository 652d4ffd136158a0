// Puts seccomp filters in force.
#pragma once

#include <span>

#include "policy/bpf/bpf_program.h"

namespace libmseal::shim {

// For every thread of the process, now and later. Returns the listener's descriptor if one was asked for,
// else 0; or -errno: ESRCH if a thread has filters that this one lacks, EBUSY if there is a listener already,
// ENOMEM if the filters of this process hold as many instructions as the kernel allows.
//
// Sets no_new_privs when the process may not install filters without it.
long install_filter(std::span<const sock_filter> program, bool with_listener);

// Whether a filter with a listener could be installed at all: 0 or -errno, as install_filter would fail.
long probe_listener();

}  // namespace libmseal::shim
