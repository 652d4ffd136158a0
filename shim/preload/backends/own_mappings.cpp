#include "shim/preload/backends/own_mappings.h"

#include <cerrno>

#include "shim/common/clock.h"
#include "shim/common/pieces.h"
#include "shim/preload/memory/heap.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/process/own_proc.h"

namespace libmseal::shim {
namespace {

// 0 or -errno: ENOMEM, EINVAL and E2BIG are about the ranges, all others about reading.
long read_mappings(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                   FoundMappings& found) {
  PieceSearch search(state.machine, state.options.discard, types, open_own);
  if (const long wrong = search.find(ranges, found.pieces, Pieces::capacity()); wrong != 0) return wrong;
  const long unknown =
      find_refused_breaks(state.machine, found.pieces.view(), search.heap_end(present_break(state.machine)),
                          found.refused_breaks);
  if (unknown != 0) return unknown == -ENOMEM ? -EIO : unknown;
  return search.find_keyed(ranges, found.pieces, Pieces::capacity(), found.keyed, kMostKeyed);
}

long explain_reading(long wrong) {
  if (wrong == -E2BIG) return explain(Why::many_pieces);
  return is_read_error(wrong) ? explain(Why::unreadable, wrong) : wrong;
}

}  // namespace

long find_own_pieces(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                     FoundMappings& found) {
  return explain_reading(read_mappings(state, ranges, types, found));
}

long find_own_pieces_again(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                           FoundMappings& found) {
  constexpr int kMostNaps = 100;
  constexpr long kNap = 1'000'000;  // ns
  long wrong = read_mappings(state, ranges, types, found);
  for (int naps = 0; is_read_error(wrong) && naps < kMostNaps; ++naps) {
    nap(kNap);
    wrong = read_mappings(state, ranges, types, found);
  }
  return explain_reading(wrong);
}

}  // namespace libmseal::shim
