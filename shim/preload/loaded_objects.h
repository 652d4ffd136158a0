// The memory of the ELF objects in this process that is to be sealed. Not for two threads at once.
#pragma once

#include "policy/rules/fixed_vector.h"
#include "policy/rules/range.h"
#include "shim/preload/state.h"
#include "shim/preload/supervised_sealing.h"

namespace libmseal::shim {

// Appends what the options want of every loaded object to `pieces`: 0 or -errno (ENOMEM: too many).
long find_constant_segments(const State& state, Pieces& pieces);

// How many objects have been loaded so far.
unsigned long long count_objects();

// The parts of the objects that count as late ones (LateSeal), as far as the dynamic linker has finished
// them: whoever seals them looks for what is constant there. `all_ready` says that it is at work on none,
// which has_writable(its RELRO) tells. False if that is not known.
enum class Answer : std::uint8_t { no, yes, unknown };
inline constexpr std::size_t kMostLateParts = 4096;
bool list_late_objects(const State& state, Answer (*has_writable)(const policy::Range&),
                       policy::FixedVector<Wanted, kMostLateParts>& wanted, bool& all_ready);

// The same by an own look, into `pieces`. False if the dynamic linker is at work on one.
bool find_late_segments(const State& state, Pieces& pieces);

}  // namespace libmseal::shim
