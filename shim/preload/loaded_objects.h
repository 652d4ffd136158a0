// The memory of the ELF objects in this process that is to be sealed.
#pragma once

#include <link.h>

#include <cstddef>

#include "policy/rules/range.h"
#include "shim/preload/objects_work.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// How many objects have been loaded so far.
unsigned long long count_objects();

// Runs work() with the list of loaded objects locked: the dynamic linker unmaps none, and so maps none in its
// place, until that returns.
template <class Work>
void with_objects_kept(Work work) {
  const auto once = [](dl_phdr_info*, std::size_t, void* data) {
    (*static_cast<Work*>(data))();
    return 1;
  };
  (void)dl_iterate_phdr(once, &work);
}

// Which objects, and what of them.
struct Selection {
  bool while_running;      // the dynamic linker may be at work on some
  policy::AutoSeal level;  // not `off`
  policy::LateSeal late;   // those that may be sealed while the program runs
  bool only_new = false;   // none that has been sealed whole
};

// All of work.late that was ready has been sealed, as the selection wanted it.
void note_sealed_objects(const State& state, const Selection& selection, ObjectsWork& work);

// What the options want at start.
Selection all_objects(const State& state);

// That of every loaded object, into work.pieces: 0 or -errno (ENOMEM: too many).
long find_constant_segments(const State& state, ObjectsWork& work);

// The parts of the objects, as far as the dynamic linker has finished them, into work.parts: whoever seals
// them looks for what is constant there. `all_ready` says that it is at work on none, which has_writable(its
// RELRO) tells. False if that is not known.
enum class Answer : std::uint8_t { no, yes, unknown };
bool list_ready_objects(const State& state, const Selection& selection,
                        Answer (*has_writable)(const policy::Range&), ObjectsWork& work, bool& all_ready);

// The same by an own look, into work.pieces. False if the dynamic linker is at work on one, or it failed.
bool find_ready_segments(const State& state, const Selection& selection, ObjectsWork& work);

}  // namespace libmseal::shim
