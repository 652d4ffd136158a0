// Objects that dlopen loads while the program runs.
//
// dlopen itself can't be interposed, because it uses the RUNPATH of its caller. But a program that loads an
// object usually calls dlsym next. So dlsym is interposed, and first seals the objects loaded until then.
#pragma once

#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Seals the objects loaded since the last call, as the options say. The caller must not hold the lock.
void seal_late_objects(State& state);

// Seals all loaded objects, for mseal_loaded: 0 or -errno. EAGAIN: another thread loads or seals objects;
// those that were ready are sealed.
long seal_loaded_objects(State& state);

// Finds libc's dlsym. Called once, at start.
void find_dlsym();

}  // namespace libmseal::shim
