#include "shim/supervisor/sealing/raw_mseal.h"

#include <cerrno>

#include "policy/rules/seal_request.h"
#include "shim/common/machine.h"
#include "shim/supervisor/events/log.h"

namespace libmseal::supervisor {

using policy::Range;
using shim::Sharing;

namespace {

// The errors that mseal(2) has.
long as_of_mseal(long result) {
  switch (result) {
    case 0:
    case -ENOMEM:
    case -EINVAL:
    case -EAGAIN:
      return result;
    case -E2BIG:
    case -ENOSPC:
      return -ENOMEM;
    default:
      return -EAGAIN;
  }
}

long seal(Sealer& sealer, const Caller& caller, SealJob& job) {
  const ThreadHolder::Result result = sealer.hold(caller, job);
  const bool held = result == ThreadHolder::Result::held || result == ThreadHolder::Result::cloning;
  // A request that has failed may have put the seal in force, and the call that it waited for may still run.
  if (sealer.is_sealed(caller, job)) return held || sealer.wait_for_calls(caller, job) ? 0 : -EBUSY;
  if (const long wrong = sealer.read_mappings(caller, job, job.found); wrong != 0) return wrong;
  if (!job.found.refused_breaks.empty() && !sealer.audits()) {
    const Range& range = job.ranges.front();
    log(Level::warning, "pid ", caller.task, ": mseal(", Hex{range.start}, ", ", Hex{range.size()},
        ") fails: brk may unmap memory there, and nothing can prevent that in a program without the library; "
        "seal memory from mmap");
    return -EAGAIN;
  }
  if (!caller.record->make_room(job.found.pieces.size())) return -ENOSPC;
  if (held) return sealer.cover(caller, job);
  // From now on calls are refused. Wait for those that were allowed before, then read the mappings again.
  if (const long error = sealer.put_in_force(caller, job, false); error != 0) return error;
  return sealer.wait_for_calls(caller, job) ? sealer.cover(caller, job) : -EBUSY;
}

}  // namespace

long raw_mseal(Sealer& sealer, Registry& registry, const Caller& caller, const policy::Arguments& arguments,
               policy::DiscardRule discard) {
  if (arguments[2] != 0) return -EINVAL;
  Range range;
  if (const long wrong = policy::check_request(shim::this_machine(), arguments[0], arguments[1], range);
      wrong != 0)
    return wrong;
  if (range.empty()) return 0;
  SealJob job = sealer.new_job();
  job.discard = discard;
  job.ranges = {range};
  // Report errors of the range before searching for sharers: the library makes such calls at every start.
  if (const long wrong = sealer.read_mappings(caller, job, job.found); wrong == -ENOMEM || wrong == -EINVAL)
    return wrong;
  if (refuses_types(caller, job.ranges, job.types)) return -EACCES;
  registry.begin_sealing(caller);
  // Sharers get the seals of the memory.
  if (registry.register_sharers(caller) == Sharing::unknown) return -EAGAIN;
  return as_of_mseal(seal(sealer, caller, job));
}

}  // namespace libmseal::supervisor
