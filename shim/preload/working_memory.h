// The memory that sealing works in. It is too large for a thread's stack, and nothing is allocated once the
// program runs: so it is mapped at the start, for good.
//
// It is no static data of the library: a start may fail where the dynamic linker maps an object over what an
// ancestor's filter refuses, so that object has as few pages as can be.
#pragma once

#include "shim/preload/job.h"
#include "shim/preload/ledger.h"
#include "shim/preload/objects_work.h"

namespace libmseal::shim {

struct WorkingMemory {
  Job job;              // lock.h hands it out,
  ObjectsWork objects;  // and this
  SealLedger ledger;
  KeyLedger keyed_seals;
};

// All zero, which is how each of them begins. Ends the program if there is no memory.
WorkingMemory& map_working_memory();

}  // namespace libmseal::shim
