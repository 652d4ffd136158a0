// Working memory for sealing. It is too large for a thread's stack, and nothing is allocated once the program
// runs, so it is mapped at start.
//
// It is not static data of the library: a start fails if the dynamic linker maps an object where an
// ancestor's filter refuses changes, so this object should have few pages.
#pragma once

#include "shim/preload/state/job.h"
#include "shim/preload/state/local_seals.h"
#include "shim/preload/state/objects_work.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

struct WorkingMemory {
  Job job;              // protected by ExclusiveSection (lock.h)
  ObjectsWork objects;  // protected by ObjectsTurn
  LocalSeals local_seals;
  LocalKeys keyed_seals;
  OptionTexts texts;
};

// Returns zeroed memory, the initial state of all members but unused slots of vectors. Ends the program if
// there is none.
WorkingMemory& map_working_memory();

}  // namespace libmseal::shim
