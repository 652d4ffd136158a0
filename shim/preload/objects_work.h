// What is looked up of the loaded objects. There is one, for one thread at a time: lock.h hands it out.
#pragma once

#include <array>
#include <cstddef>

#include "mseal/mseal.h"
#include "policy/rules/fixed_vector.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/backends/supervised_sealing.h"

namespace libmseal::shim {

using ObjectPieces = policy::FixedVector<policy::Seal, 2048>;

// An object that may not be ready yet: as long as its RELRO is writable, the dynamic linker is at work.
struct LateObject {
  policy::Range first_segment;
  policy::Range relro;
  std::size_t first = 0;  // of ObjectsWork::loaded
  std::size_t end = 0;
  bool unready = false;
};

struct ObjectsWork {
  policy::FixedVector<policy::Range, 2048> loaded;
  policy::FixedVector<policy::Range, 256> mutable_data;
  policy::FixedVector<LateObject, 512> late;
  // Where the objects begin that have been sealed whole, sorted. They stay for good, so no other object will
  // ever begin there.
  policy::FixedVector<std::uint64_t, 4096> sealed;
  std::array<char, 4096> program{};  // the path of the program's file, once it is known

  ObjectPieces pieces;                              // what is to be sealed, by an own look
  policy::FixedVector<ConstantPart, 4096> parts;    // where the supervisor is to look
  policy::FixedVector<mseal_range, 2048> unsealed;  // what of the pieces is not sealed yet
};

}  // namespace libmseal::shim
