#include "shim/preload/sealing.h"

#include <cerrno>

#include "policy/rules/seal_request.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/backend.h"
#include "shim/preload/lock.h"
#include "shim/preload/own_look.h"
#include "shim/preload/own_sealing.h"
#include "shim/preload/supervised_sealing.h"
#include "shim/preload/why_unsealed.h"

namespace libmseal::shim {
namespace {

using policy::Backend;
using policy::Range;
using policy::Seal;

long seal_in_ledger(State& state, std::span<const Range> ranges) {
  if (const long read = find_own_pieces(state, ranges); read != 0) return read;
  for (const Seal& piece : state.pieces) {
    if (!state.ledger.add(piece)) return explain_ledger_full();
  }
  for (const policy::KeyedRange& piece : state.keyed) (void)state.keyed_seals.add(piece);
  return 0;
}

long seal_by_kernel(State& state, std::span<const Range> ranges) {
  // mseal(2) takes one range: what is wrong with any of them is found before the first is sealed for good.
  if (ranges.size() > 1) {
    if (const long read = find_own_pieces(state, ranges); read != 0) return read;
  }
  for (const Range& range : ranges) {
    const long result = raw_syscall(policy::kMsealNumber, range.start, range.size(), 0);
    if (result != 0) return result;
    (void)state.ledger.add({range, true});
  }
  return 0;
}

// Into a batch for the supervisor's look.
std::span<const Wanted> as_wanted(std::span<const Range> ranges) {
  static policy::FixedVector<Wanted, kMostPieces> wanted;
  wanted.clear();
  for (const Range& range : ranges) (void)wanted.push_back({range});  // never more than kMostPieces
  return wanted.view();
}

long start_if_needed(State& state) {
  return state.backend == Backend::automatic ? start_backend_late(state) : 0;
}

// Ranges sorted and apart.
long seal_checked(State& state, std::span<const Range> ranges) {
  if (const long error = start_if_needed(state); error != 0) return error;
  switch (state.backend) {
    case Backend::kernel:
      return seal_by_kernel(state, ranges);
    case Backend::seccomp: {
      const Asked asked = seal_by_supervisors_look(state, as_wanted(ranges));
      return asked.must_look ? seal_by_own_look(state, ranges) : asked.result;
    }
    case Backend::filter:
      return seal_by_own_look(state, ranges);
    case Backend::libc:
    case Backend::automatic:
      break;
  }
  return seal_in_ledger(state, ranges);
}

}  // namespace

long seal(State& state, std::uint64_t address, std::uint64_t length, std::uint64_t flags) {
  Range range;
  if (flags != 0) return -EINVAL;
  if (const long error = policy::check_request(state.machine, address, length, range); error != 0)
    return error;
  if (range.empty()) return 0;
  const ExclusiveSection section;
  if (const long error = start_if_needed(state); error != 0) return error;
  // Again, for now it is known whether addresses can have tags.
  if (const long error = policy::check_request(state.machine, address, length, range); error != 0)
    return error;
  if (state.backend == Backend::kernel) {  // which knows best which bits of the address are a tag
    const long result = raw_syscall(policy::kMsealNumber, address, length, flags);
    if (result == 0) (void)state.ledger.add({range, true});
    return result;
  }
  return seal_checked(state, {&range, 1});
}

long seal_all(State& state, std::span<const mseal_range> ranges, std::uint64_t flags) {
  if (flags != 0) return -EINVAL;
  const ExclusiveSection section;
  static Pieces joined;
  static Ranges wanted;
  joined.clear();
  wanted.clear();
  if (ranges.empty()) return 0;
  if (const long error = start_if_needed(state); error != 0) return error;
  for (const mseal_range& one : ranges) {
    Range range;
    const auto start = reinterpret_cast<std::uint64_t>(one.addr);
    if (const long error = policy::check_request(state.machine, start, one.len, range); error != 0)
      return error;
    if (!policy::add_seal(joined, {range}, Pieces::capacity())) return -ENOMEM;
  }
  for (const Seal& one : joined) (void)wanted.push_back(one.range);
  return wanted.empty() ? 0 : seal_checked(state, wanted.view());
}

bool seal_constant_parts(State& state, std::span<const Wanted> wanted, long& result) {
  const ExclusiveSection section;
  if (state.backend != Backend::seccomp) return false;
  const Asked asked = seal_by_supervisors_look(state, wanted);
  result = asked.result;
  return !asked.must_look;
}

}  // namespace libmseal::shim
