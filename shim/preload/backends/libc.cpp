// The backend `libc`: the interposed functions check the local seals, and nothing stops other system calls.
#include <cerrno>

#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_mappings.h"
#include "shim/preload/messages/why_unsealed.h"

namespace libmseal::shim {
namespace {

Reason start(State& state, const StartArguments& arguments, Job& job) {
  (void)job;
  if (!state.local_seals->add(arguments.objects.pieces)) return {"no room for the loaded objects", -ENOMEM};
  return {};
}

long seal(State& state, std::span<const policy::Range> ranges, Job& job) {
  if (!state.precedes_libc) return explain(Why::late_library);
  if (const long wrong = find_own_pieces(state, ranges, job.types, job.found); wrong != 0) return wrong;
  if (local_seals_refuse_types(state, ranges, job.types)) return -EACCES;
  if (!state.local_seals->add(job.found.pieces.view())) return explain(Why::local_seals_full);
  (void)state.keyed_seals->add(job.found.keyed.view());
  return 0;
}

}  // namespace

const BackendFunctions kLibcBackend{start, seal, query_local_seals, nullptr};

}  // namespace libmseal::shim
