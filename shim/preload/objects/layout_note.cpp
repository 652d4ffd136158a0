// The layout version of this library, as an ELF note that the tool reads: a library of another version has
// other options.
#include <cstdint>

#include "policy/protocol/layout.h"

namespace libmseal::shim {
namespace {

struct Note {
  std::uint32_t name_size = sizeof name - 3;
  std::uint32_t value_size = sizeof version;
  std::uint32_t type = 1;
  char name[12] = "libmseal";
  std::uint32_t version = policy::kLayoutVersion;
};

[[gnu::section(".note.libmseal"), gnu::used, gnu::aligned(4)]] constinit const Note g_note;

}  // namespace
}  // namespace libmseal::shim
