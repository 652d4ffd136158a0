#include "shim/preload/backends/own_look.h"

#include <fcntl.h>

#include <cerrno>

#include "shim/common/pieces.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/heap.h"
#include "shim/preload/why_unsealed.h"

namespace libmseal::shim {
namespace {

long open_own(std::string_view file) {
  const char* const path = file == "smaps" ? "/proc/thread-self/smaps" : "/proc/thread-self/maps";
  return raw_syscall(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

}  // namespace

long find_own_pieces(const State& state, std::span<const policy::Range> ranges, Found& found) {
  const PieceSearch search(state.machine, state.options.discard, open_own);
  long wrong = search.find(ranges, found.pieces, Pieces::capacity());
  if (wrong == 0) wrong = find_refused_breaks(state.machine, found.pieces.view(), found.refused_breaks);
  if (wrong == 0)
    wrong = search.find_keyed(ranges, found.pieces, Pieces::capacity(), found.keyed, kMostKeyed);
  if (wrong == 0 || wrong == -ENOMEM || wrong == -EINVAL) return wrong;
  if (wrong != -E2BIG) return explain_unreadable(wrong);
  return explain_many_pieces();
}

}  // namespace libmseal::shim
