// Proves that no other process shares this memory, and that there is no other thread.
#pragma once

namespace libmseal::shim {

// Only before main: the table of open files must not be shared with anybody on purpose. False if there is no
// proof.
bool proves_to_be_alone();

}  // namespace libmseal::shim
