// The backend `libc`: the interposed functions check the ledger, and nothing stops other system calls.
#include <cerrno>

#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_look.h"
#include "shim/preload/messages/why_unsealed.h"

namespace libmseal::shim {
namespace {

Outcome start(State& state, const Beginning& beginning, Job& job) {
  (void)job;
  for (const policy::Seal& object : beginning.objects) {
    if (!state.ledger->add(object)) return {"no room for the loaded objects", -ENOMEM};
  }
  return {};
}

long seal(State& state, std::span<const policy::Range> ranges, Job& job) {
  if (!state.precedes_libc) return explain(Why::late_library);
  if (const long wrong = find_own_pieces(state, ranges, job.types, job.found); wrong != 0) return wrong;
  if (ledger_refuses_types(state, ranges, job.types)) return -EACCES;
  for (const policy::Seal& piece : job.found.pieces) {
    if (!state.ledger->add(piece)) return explain(Why::ledger_full);
  }
  for (const policy::KeyedRange& piece : job.found.keyed) (void)state.keyed_seals->add(piece);
  return 0;
}

}  // namespace

const BackendFunctions kLibcBackend{start, seal, query_ledger, is_no_matter};

}  // namespace libmseal::shim
