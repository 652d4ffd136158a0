#include "shim/preload/memory/heap.h"

#include <algorithm>

#include "policy/rules/verdict.h"
#include "shim/preload/process/own_proc.h"

namespace libmseal::shim {

std::uint64_t present_break(const policy::Machine& machine) {
  return policy::round_up(static_cast<std::uint64_t>(raw_syscall(__NR_brk, 0)), machine.page_size);
}

long find_refused_breaks(const policy::Machine& machine, std::span<const policy::Seal> pieces,
                         std::uint64_t heap_end, policy::Range& refused) {
  refused = {};
  // brk never reaches a seal above the heap. Usually all pieces lie there, and nothing needs to be read.
  const bool above = std::all_of(pieces.begin(), pieces.end(), [heap_end](const policy::Seal& piece) {
    return piece.range.start >= heap_end;
  });
  if (above) return 0;
  policy::StatLine stat;
  if (const long error = read_stat(ProcRoot(), own_proc_path("stat"), stat); error != 0) return error;
  if (stat.start_brk == 0) return -EPROTO;
  refused = policy::refused_breaks(pieces, stat.start_brk, heap_end, machine.page_size);
  return 0;
}

}  // namespace libmseal::shim
