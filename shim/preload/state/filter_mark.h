// The mark of a filter that kills callers of some system calls: a filter that tells programs which are
// executed later for what they can't make calls.
#pragma once

#include <cstdint>

namespace libmseal::shim {

inline constexpr std::uint16_t kAllPurposes = 0x7FF;

// Purpose bits; 0 if there is no mark.
std::uint16_t read_mark();

// Not installed if it needs no_new_privs, which would change the programs that are executed. Installed in the
// threads in which the program installs its filter with these flags: others keep their mark.
long install_mark(std::uint16_t purposes, unsigned long flags_of_program);

}  // namespace libmseal::shim
