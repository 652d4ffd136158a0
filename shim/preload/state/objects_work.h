// Working memory for examining the loaded objects. There is only one, for one thread at a time (lock.h).
#pragma once

#include <array>
#include <cstddef>

#include "mseal/mseal.h"
#include "policy/rules/fixed_vector.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"

namespace libmseal::shim {

using ObjectPieces = policy::FixedVector<policy::Seal, 2048>;

// An object that may not be ready yet: while its RELRO is writable, the dynamic linker is working on it.
struct LateObject {
  policy::Range first_segment;
  policy::Range relro;
  std::size_t first = 0;  // an index in ObjectsWork::loaded
  std::size_t end = 0;
  bool unready = false;
};

// A part of a loaded object, in which only private read-only memory is to be sealed.
struct ObjectPart {
  policy::Range range;
  bool writable_too = false;  // also private writable memory
};

struct ObjectsWork {
  policy::FixedVector<policy::Range, 2048> loaded;
  policy::FixedVector<policy::Range, 256> mutable_data;
  policy::FixedVector<LateObject, 512> late;
  // The start addresses of fully sealed objects, sorted. These are never unmapped, so no other object can
  // begin there.
  policy::FixedVector<std::uint64_t, 4096> sealed;
  std::array<char, 4096> program{};  // the path of the program's file, once it is known

  bool unreadable = false;                          // the mappings could not be read
  bool has_aio_ring = false;                        // one is mapped (io_setup)
  bool has_io_uring = false;                        // one is mapped
  ObjectPieces pieces;                              // what is to be sealed, found without the supervisor
  policy::FixedVector<ObjectPart, 4096> parts;      // where the supervisor is to look for it
  policy::FixedVector<mseal_range, 2048> unsealed;  // the pieces that are not sealed yet
};

}  // namespace libmseal::shim
