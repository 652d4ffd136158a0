#include "shim/preload/sealing/sealing.h"

#include <algorithm>
#include <cerrno>

#include "policy/rules/seal_request.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/backends/own_sealing.h"
#include "shim/preload/filters/first_filter.h"
#include "shim/preload/memory/sealed_area.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/sealing/start.h"
#include "shim/preload/state/lock.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

using policy::Backend;
using policy::Range;

long start_if_needed(State& state, Job& job) {
  if (state.backend != Backend::automatic) return 0;
  state.may_be_shared = state.started_late = true;
  return start_backend_late(state, job);
}

long seal_by_backend(State& state, std::span<const Range> ranges, Job& job) {
  const long error = wait_for_earlier_calls(state);
  if (error != 0) return error;
  const long result = functions_of(state.backend).seal(state, ranges, job);
  if (result == 0) state.may_be_shared = false;
  return result;
}

// The result of work(job), which holds the lock, or -errno.
template <class Work>
long locked(const State& state, Work work) {
  if (program_filters_bar_sealing(state)) return explain(Why::program_filter_kills);
  const ExclusiveSection section;
  return section.holds() ? work(section.job()) : explain(Why::locked);
}

using WantedRanges = policy::FixedVector<Range, kMostRanges>;

// Sorts the ranges, and joins those that touch.
void join_touching(WantedRanges& ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& one, const Range& other) { return one.start < other.start; });
  auto* last = ranges.begin();
  for (const Range& one : ranges) {
    if (one.start > last->end) *++last = one;
    last->end = std::max(last->end, one.end);
  }
  if (!ranges.empty()) ranges.truncate(static_cast<std::size_t>(last - ranges.begin()) + 1);
}

// False if there is no room.
bool add(WantedRanges& ranges, const Range& added) {
  if (ranges.full()) join_touching(ranges);
  return ranges.push_back(added);
}

// 0, or -errno.
long check_sealable(State& state, std::uint64_t address, std::uint64_t length) {
  if (!state.options.sealable_required || state.options.audit) return 0;
  if (const long error = start_backend_if_needed(state); error != 0) return error;
  Range range;
  const long error = policy::check_request(state.machine, address, length, range);
  if (error != 0 || range.empty()) return error;
  return is_placed_sealable(state, range) ? 0 : explain(Why::not_sealable);
}

}  // namespace

long seal_for_program(State& state, std::uint64_t address, std::uint64_t length, policy::SealTypes types) {
  const long error = check_sealable(state, address, length);
  return error != 0 ? error : seal(state, address, length, types);
}

long seal_all_for_program(State& state, std::span<const mseal_range> ranges) {
  for (const mseal_range& one : ranges) {
    const long error = check_sealable(state, reinterpret_cast<std::uint64_t>(one.addr), one.len);
    if (error != 0) return error;
  }
  return seal_all(state, ranges);
}

long seal(State& state, std::uint64_t address, std::uint64_t length, policy::SealTypes types) {
  Range range;
  if (const long error = policy::check_request(state.machine, address, length, range); error != 0)
    return error;
  if (range.empty()) return 0;
  return locked(state, [&](Job& job) -> long {
    if (const long error = start_if_needed(state, job); error != 0) return error;
    if (state.backend == Backend::kernel) {  // the kernel itself handles tag bits of the address
      range = Range::of(address, range.size());
    } else if (const long error = policy::check_request(state.machine, address, length, range); error != 0) {
      return error;  // only now it is known whether addresses can have tags
    }
    job.types = types;
    return seal_by_backend(state, {&range, 1}, job);
  });
}

long seal_all(State& state, std::span<const mseal_range> ranges) {
  if (ranges.empty()) return 0;
  return locked(state, [&](Job& job) -> long {
    if (const long error = start_if_needed(state, job); error != 0) return error;
    job.wanted.clear();
    job.types = policy::kWholeSeal;
    for (const mseal_range& one : ranges) {
      Range range;
      const auto start = reinterpret_cast<std::uint64_t>(one.addr);
      if (const long error = policy::check_request(state.machine, start, one.len, range); error != 0)
        return error;
      if (!range.empty() && !add(job.wanted, range)) return -ENOMEM;
    }
    join_touching(job.wanted);
    return job.wanted.empty() ? 0 : seal_by_backend(state, job.wanted.view(), job);
  });
}

SupervisorAnswer seal_object_parts(State& state, std::span<const ObjectPart> parts) {
  SupervisorAnswer asked;
  asked.result = locked(state, [&](Job& job) -> long {
    if (const long error = wait_for_earlier_calls(state); error != 0) return error;
    job.types = policy::kWholeSeal;
    asked = seal_objects_as_supervisor_says(state, parts, job);
    return asked.result;
  });
  return asked;
}

policy::Sealed query(const State& state, const Range& range) {
  return functions_of(state.backend).query(state, range);
}

long start_backend_if_needed(State& state) {
  if (state.backend != Backend::automatic && earlier_calls_have_ended()) return 0;
  return locked(state, [&](Job& job) {
    const long error = start_if_needed(state, job);
    return error != 0 ? error : wait_for_earlier_calls(state);
  });
}

long start_backend_for_sealed_mappings(State& state) {
  if (const long error = start_backend_if_needed(state); error != 0) return error;
  if (!uses_filters(state.backend)) return 0;
  if (!has_first_filter(state)) return explain(Why::not_ours);
  if (!state.may_be_shared) return 0;
  return locked(state, [&](Job&) {
    const long error = wait_until_alone(state);
    if (error == 0) state.may_be_shared = false;
    return error;
  });
}

}  // namespace libmseal::shim
