// Objects that dlopen brings while the program runs.
//
// dlopen itself can't be interposed, because it looks up RUNPATH by its caller. But a program that loads an
// object usually calls dlsym next. So dlsym is interposed, and first seals what has been loaded until then.
#pragma once

#include "shim/preload/state.h"

namespace libmseal::shim {

// Seals what has come since the last time, as the options want it. Called while nobody holds the lock.
void seal_late_objects(State& state);

// Seals whatever is loaded now, for mseal_loaded: 0 or -errno. EAGAIN: another thread loads or seals objects;
// what was ready is sealed.
long seal_loaded_objects(State& state);

// Finds libc's dlsym. Called once, at start.
void find_dlsym();

}  // namespace libmseal::shim
