// Finds the parts of the loaded ELF objects that are to be sealed.
#pragma once

#include <link.h>

#include <cstddef>
#include <span>

#include "policy/rules/range.h"
#include "shim/preload/state/objects_work.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

inline std::span<const ElfW(Phdr)> headers_of(const dl_phdr_info& object) {
  return {object.dlpi_phdr, object.dlpi_phnum};
}

// How many objects have been loaded so far.
unsigned long long count_objects();

// Runs work() with the list of loaded objects locked, so that the dynamic linker unmaps no object meanwhile.
template <class Work>
void with_objects_kept(Work work) {
  const auto once = [](dl_phdr_info*, std::size_t, void* data) {
    (*static_cast<Work*>(data))();
    return 1;
  };
  (void)dl_iterate_phdr(once, &work);
}

// Which objects to seal, and which parts.
struct Selection {
  bool while_running;      // the dynamic linker may be working on some
  policy::AutoSeal level;  // not `off`
  policy::LateSeal late;   // which may be sealed while the program runs
  bool only_new = false;   // not those that are fully sealed
};

// Notes that all ready objects of work.late have been sealed.
void note_sealed_objects(const State& state, const Selection& selection, ObjectsWork& work);

// The selection at program start.
Selection all_objects(const State& state);

// Puts the parts of all loaded objects that are to be sealed into work.pieces: 0 or -errno (ENOMEM: too
// many).
long find_constant_segments(const State& state, ObjectsWork& work);

// Puts the parts of the objects that the dynamic linker has finished into work.parts; the supervisor then
// selects what is constant in them. An object is ready once nothing in its RELRO is writable; `all_ready`:
// all of them are. False if that is not known.
bool list_ready_objects(const State& state, const Selection& selection, ObjectsWork& work, bool& all_ready);

// The same without the supervisor, into work.pieces. False if an object is not ready, or on failure.
bool find_ready_segments(const State& state, const Selection& selection, ObjectsWork& work);

}  // namespace libmseal::shim
