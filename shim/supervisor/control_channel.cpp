#include "shim/supervisor/control_channel.h"

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "shim/common/clock.h"
#include "shim/common/machine.h"
#include "shim/supervisor/events/log.h"
#include "shim/supervisor/sealing/raw_mseal.h"

namespace libmseal::supervisor {

using policy::Control;
using Kind = Control::Kind;

namespace {

// Whether the answer to a message of this kind is the end of the thread's request.
bool ends_request(Kind kind, std::int64_t answer) {
  const bool seals = kind == Kind::seal || kind == Kind::filters_are_in;
  // Otherwise ranges of a failed request would be sealed by the thread's next one.
  if (answer < 0) return seals || kind == Kind::range;
  const policy::NextStep step = policy::decode_seal_answer(answer).step;
  using policy::NextStep;
  return seals && step != NextStep::filter && step != NextStep::again && step != NextStep::look;
}

// 1 or 0, or -errno.
std::int64_t is_writable(Proc& proc, const Caller& caller, const policy::Range& range) {
  bool writable = false;
  const long read = visit_maps(proc, caller.task, [&](const policy::Vma& vma) {
    writable = writable || (vma.writable && vma.range.touches(range));
    return vma.range.start < range.end;
  });
  return read != 0 ? -EPERM : writable ? 1 : 0;
}

}  // namespace

ControlChannel::ReceivedCall ControlChannel::receive(const seccomp_notif& notification,
                                                     const policy::Arguments& arguments, bool native) {
  bool malformed = false;
  ReceivedCall received;
  if (native) received.message = policy::decode_control(shim::this_machine(), arguments, malformed);
  // mseal by a raw system call does not exist on this kernel, unless the supervisor serves it.
  received.answered = malformed || (!received.message && !covers_all_);
  if (malformed)
    log(Level::warning, "pid ", notification.pid, ": malformed control message, flags ", Hex{arguments[2]});
  if (received.answered) {
    refuse(notification, malformed ? EINVAL : ENOSYS);
  } else if (received.message) {
    const auto answer = answer_without_caller(notification, *received.message);
    if (answer) listener_.answer(notification.id, policy::encode_answer(*answer));
    received.answered = answer.has_value();
  }
  return received;
}

std::optional<std::int64_t> ControlChannel::answer_without_caller(const seccomp_notif& notification,
                                                                  const Control& message) {
  static_assert(policy::encode(policy::Sealed{}) == 0);
  const auto seals = registry_.all_seals();
  switch (message.kind) {
    case Kind::call_site:
      if (events_.accept_site(static_cast<pid_t>(notification.pid), message)) return std::nullopt;
      return policy::kTooMany;
    case Kind::refusals:
      events_.note_suppressed(message.count);
      return 0;
    case Kind::query:
      if (seals.empty() || policy::touches_seal(seals, message.seal.range)) return std::nullopt;
      return 0;
    default:
      return std::nullopt;
  }
}

void ControlChannel::handle(const seccomp_notif& notification, const policy::Arguments& arguments,
                            Caller& caller, const ReceivedCall& received) {
  const bool begins_to_seal = !received.message || received.message->kind == Kind::seal;
  if (begins_to_seal && !holds_threads() && gives_way(notification)) return;
  if (received.message) return handle_message(notification, caller, *received.message);
  handle_raw(notification, caller, arguments);
}

void ControlChannel::refuse(const seccomp_notif& notification, int error) {
  (void)respond(notification, -error);
}

void ControlChannel::make_image(Caller& caller) {
  auto table = spare_table_ != nullptr ? std::move(spare_table_) : std::make_unique<TableFile>();
  has_joined_ = true;
  table->set_policy(policies_.options_for(&proc_, caller.process.id), policies_.complaints());
  registry_.make_image(caller, std::move(table));
}

void ControlChannel::make_spare_table() noexcept {
  if (!std::exchange(has_joined_, false) || spare_table_ != nullptr) return;
  try {
    spare_table_ = std::make_unique<TableFile>();
  } catch (...) {  // NOLINT(bugprone-empty-catch): the next program gets one of its own
  }
}

int ControlChannel::try_to_make_image(Caller& caller) {
  for (bool again = true;; again = false) {
    try {
      make_image(caller);
      return 0;
    } catch (const std::system_error& error) {
      if (again && registry_.forget_ended_now()) continue;
      log(Level::error, "pid ", caller.process.id, " can't join: ", error.what());
      // EMFILE means that the process itself can have no more descriptors.
      const int why = error.code().value();
      return why == EMFILE ? ENFILE : why;
    }
  }
}

void ControlChannel::handle_raw(const seccomp_notif& notification, Caller& caller,
                                const policy::Arguments& arguments) {
  // If its memory is not readable now, the image could not be recognised later.
  if (caller.foreign() && caller.identity.readable()) make_image(caller);
  if (!caller.may_seal()) return refuse(notification, EPERM);
  const long result = raw_mseal(sealer_, registry_, caller, arguments, discard_);
  (void)respond(notification, result);
  resume_threads();
  log(Level::info, "pid ", caller.process.id, ": mseal(", Hex{arguments[0]}, ", ", Hex{arguments[1]}, ", ",
      Hex{arguments[2]}, "): ", result);
}

void ControlChannel::handle_join(const seccomp_notif& notification, Caller& caller) {
  // If its memory is not readable now, the image could not be recognised later.
  if (!caller.identity.readable()) return refuse(notification, EPERM);
  if (!caller.foreign()) {
    registry_.note_join(caller);
    inspected_.forget(caller);  // only this thread's request: others may be sealing
  } else if (const int error = try_to_make_image(caller); error != 0) {
    return refuse(notification, error);
  } else {
    inspected_.drop_jobs_of(caller.process);
  }
  const Image& image = *caller.image;
  if (!listener_.answer_with_table(notification.id, image.table->descriptor())) refuse(notification, EMFILE);
  log(Level::info, "pid ", caller.process.id, ": joined, ", image.fences.size(), " fences");
}

void ControlChannel::handle_message(const seccomp_notif& notification, Caller& caller,
                                    const Control& message) {
  if (message.kind == Kind::join) return handle_join(notification, caller);
  if (message.kind == Kind::call_site) {
    events_.record_site(caller, message);
    return listener_.answer(notification.id, policy::encode_answer(0));
  }
  const bool asks = message.kind == Kind::query || message.kind == Kind::is_writable;
  if (caller.standing != Caller::Standing::member || (!asks && !caller.may_seal()))
    return refuse(notification, EPERM);
  std::int64_t answer = 0;
  try {
    answer = answer_to(caller, message);
  } catch (...) {
    inspected_.forget(caller);
    throw;
  }
  const bool seals = message.kind == Kind::seal || message.kind == Kind::filters_are_in;
  if (answer == -EAGAIN && seals && postponed_.add(notification)) return;
  const bool arrived = respond(notification, policy::encode_answer(answer));
  // Otherwise the message may be repeated.
  if (arrived && ends_request(message.kind, answer)) inspected_.forget(caller);
  resume_threads();
  log(Level::info, "pid ", caller.process.id, ": ", policy::name_of(message.kind), " on ",
      RangeText{message.seal.range}, ": ", answer);
}

bool ControlChannel::respond(const seccomp_notif& notification, std::int64_t answer) {
  const bool wrapped = static_cast<std::uint32_t>(notification.data.nr) != policy::kMsealNumber;
  return listener_.deliver(notification.id, answer < 0 && wrapped ? answer - policy::kWrappedErrors : answer);
}

void ControlChannel::resume_threads() {
  // Otherwise the resumed threads get the processors first, and the caller waits for as many time slices.
  constexpr long kUntilCallerRuns = 20'000;  // ns
  if (inspected_.has_stopped_to_let_go()) shim::nap(kUntilCallerRuns);
  tidy();
}

std::int64_t ControlChannel::answer_to(const Caller& caller, const Control& message) {
  const policy::Range& range = message.seal.range;
  switch (message.kind) {
    case Kind::range:
      return inspected_.add_range(caller, message);
    case Kind::seal:
      return inspected_.seal(caller, message);
    case Kind::filters_are_in:
      return inspected_.filters_are_in(caller, message);
    case Kind::cancel:
      inspected_.forget(caller);
      return 0;
    case Kind::is_writable:
      return is_writable(proc_, caller, range);
    case Kind::prepare:
      return reported_.prepare(caller, message);
    case Kind::is_alone:
      return reported_.is_alone(caller);
    case Kind::add_supervised:
    case Kind::add_filtered:
      return reported_.add(caller, message);
    case Kind::query:
      return policy::encode(policy::how_sealed(caller.record->seals(), range));
    case Kind::join:
    case Kind::call_site:
    case Kind::refusals:
      break;
  }
  return -EINVAL;
}

bool ControlChannel::gives_way(const seccomp_notif& notification) {
  return !postponed_.contains(notification) && listener_.has_next() && postponed_.add(notification);
}

}  // namespace libmseal::supervisor
