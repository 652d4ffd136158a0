#include "shim/supervisor/judge.h"

#include <asm/unistd.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <exception>
#include <fstream>
#include <string>

#include "policy/mm_call.h"
#include "policy/verdict.h"
#include "shim/common/machine.h"
#include "shim/supervisor/mseal_server.h"
#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {
namespace {

using policy::Control;
using policy::MmCall;
using policy::Range;
using policy::Seal;
using policy::Verdict;
using policy::Way;

pid_t task_of(const seccomp_notif& notification) {
  return static_cast<pid_t>(notification.pid);
}

// Whether the file is known not to lie on hugetlbfs.
bool has_ordinary_pages(pid_t task, std::uint64_t descriptor) {
  const std::string path =
      "/proc/" + std::to_string(task) + "/fd/" + std::to_string(static_cast<int>(descriptor));
  struct statfs filesystem {};
  if (statfs(path.c_str(), &filesystem) != 0) return errno == ENOENT;  // no file: EBADF
  return filesystem.f_type != HUGETLBFS_MAGIC;
}

// Whether mremap moves several mappings at once, each by its own rules (mm/mremap.c, remap_move, since 6.17).
bool moves_several_mappings() {
  utsname system{};
  if (uname(&system) != 0) return true;
  const std::string_view release = system.release;
  const char* const end = release.data() + release.size();
  int major = 0;
  int minor = 0;
  const auto [dot, wrong] = std::from_chars(release.data(), end, major);
  if (wrong != std::errc{} || dot == end) return true;
  if (std::from_chars(dot + 1, end, minor).ec != std::errc{}) return true;
  return major > 6 || (major == 6 && minor >= 17);
}

// Of what is made without a word about its size; the largest there is if the kernel does not say.
std::uint64_t usual_huge_page() {
  std::ifstream file("/proc/meminfo");
  constexpr std::string_view kKey = "Hugepagesize:";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kKey)) return std::stoull(line.substr(kKey.size())) * 1024;
  }
  return ~0ULL;
}

}  // namespace

Judge::Judge(Listener& listener, Registry& registry, const PolicyLevels& policies, std::vector<Range> watched,
             const policy::Options& options)
    : listener_(listener),
      registry_(registry),
      policies_(policies),
      watched_(std::move(watched)),
      options_(options),
      rules_(policy::tree_rules(options)),
      events_(options) {}

void Judge::handle(const seccomp_notif& notification) noexcept {
  try {
    return decide_about(notification);
  } catch (const std::exception& error) {
    try {
      spdlog::error("pid {}: system call {} is refused: {}", notification.pid, notification.data.nr,
                    error.what());
      (void)registry_.collect_now();
    } catch (...) {  // NOLINT(bugprone-empty-catch): nothing is left to be done about it
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is refused, below
  }
  listener_.refuse(notification.id, notification.data.nr == policy::kMsealNumber ? ENOMEM : EPERM);
}

void Judge::idle() noexcept {
  try {
    events_.flush();
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is tried again
  }
}

void Judge::decide_about(const seccomp_notif& notification) {
  calls_.ended(task_of(notification));
  if (registry_.collect()) calls_.collect();
  calls_.keep_few();
  const policy::Machine machine = shim::this_machine();
  const policy::Abi* const abi = policy::find_abi(machine, notification.data.arch);
  if (abi == nullptr) return listener_.refuse(notification.id, ENOSYS);
  policy::Arguments arguments;
  std::ranges::copy(notification.data.args, arguments.begin());
  const auto number = static_cast<std::uint32_t>(notification.data.nr);
  if (find_call(*abi, number) == nullptr) return handle_entry_point(notification);
  const MmCall call = decode(machine, *abi, number, arguments);
  if (call.effect == MmCall::Effect::seal)
    return handle_mseal(notification, arguments, abi == machine.abis.data());
  handle_call(notification, call);
}

// ---- mseal, and what the library says by it ----

void Judge::handle_mseal(const seccomp_notif& notification, const policy::Arguments& arguments, bool native) {
  bool malformed = false;
  const auto message =
      native ? policy::decode_control(shim::this_machine(), arguments, malformed) : std::nullopt;
  if (malformed) {
    spdlog::warn("pid {}: malformed control message, flags {:#x}", notification.pid, arguments[2]);
    return listener_.refuse(notification.id, EINVAL);
  }
  if (message) return handle_control(notification, *message);
  if (rules_.covers_all) return handle_raw_mseal(notification, arguments);
  // Past the library, by a raw system call: on this kernel there is none.
  listener_.refuse(notification.id, ENOSYS);
}

void Judge::make_image(Caller& caller) {
  auto table = std::make_unique<TableFile>();
  table->set_policy(policies_.options_for(caller.process.id), {});
  registry_.make_image(caller, std::move(table));
}

void Judge::handle_raw_mseal(const seccomp_notif& notification, const policy::Arguments& arguments) {
  Caller caller = registry_.look_up(task_of(notification));
  if (!listener_.still_waits(notification.id)) return;
  if (caller.foreign()) make_image(caller);
  if (caller.standing != Caller::Standing::member) return listener_.refuse(notification.id, EPERM);
  // Whoever else has the memory gets its seals.
  if (registry_.begin_sealing(caller) == shim::Sharing::unknown)
    return listener_.refuse(notification.id, EAGAIN);
  const auto shares = [&](pid_t other) {
    const Caller who = registry_.look_up(other);
    return !who.foreign() && (who.standing == Caller::Standing::unknown || who.record == caller.record);
  };
  const auto put_in_force = [&](const Seal& seal, const Range& refused_breaks) {
    return registry_.add(caller, seal, false, refused_breaks) == 0;
  };
  const long result = serve_mseal(shim::this_machine(), arguments,
                                  {caller.task, options_.discard, calls_, shares, put_in_force});
  spdlog::info("pid {}: mseal({:#x}, {:#x}, {:#x}): {}", caller.process.id, arguments[0], arguments[1],
               arguments[2], result);
  if (result < 0) return listener_.refuse(notification.id, static_cast<int>(-result));
  listener_.answer(notification.id, result);
}

void Judge::handle_hello(const seccomp_notif& notification, Caller& caller) {
  // What can't be looked at now may be recognised by nothing later.
  if (!caller.identity.readable()) return listener_.refuse(notification.id, EPERM);
  if (caller.foreign()) make_image(caller);
  const int given = listener_.give_descriptor(notification.id, caller.image->table->descriptor());
  spdlog::info("pid {}: joined, {} fences", caller.process.id, caller.image->table->fences().size());
  if (given < 0) return listener_.refuse(notification.id, EMFILE);
  listener_.answer(notification.id, given);
}

bool Judge::is_watched(const Range& range) const {
  return std::ranges::any_of(watched_, [&](const Range& one) { return one.contains(range); });
}

std::int64_t Judge::prepare(const Caller& caller, const Range& range) {
  const auto way = [](Way one) { return static_cast<std::int64_t>(one); };
  if (policy::coverage(caller.record->seals(), range) == policy::Coverage::fully) return way(Way::sealed);
  if (!caller.record->make_room(1)) return -ENOMEM;
  const shim::Sharing sharing = registry_.begin_sealing(caller);
  // Where the supervisor refuses, it does so for all who have the memory.
  if (is_watched(range)) return sharing == shim::Sharing::unknown ? -EAGAIN : way(Way::supervised);
  return sharing == shim::Sharing::alone ? way(Way::filter) : -EAGAIN;
}

std::int64_t Judge::add(const Caller& caller, const Control& message) {
  const bool filtered = message.kind == Control::Kind::add_filtered;
  if (!filtered) {
    // Refused from here: so it must be where calls are notified, and for all who have the memory.
    if (!is_watched(message.seal.range)) return -EAGAIN;
    if (registry_.begin_sealing(caller) == shim::Sharing::unknown) return -EAGAIN;
  }
  Range breaks;
  if (message.below_break) {
    breaks = policy::refused_breaks(message.seal.range, caller.lowest_break, shim::this_machine().page_size);
  }
  return registry_.add(caller, message.seal, filtered, breaks);
}

void Judge::handle_control(const seccomp_notif& notification, const Control& message) {
  Caller caller = registry_.look_up(task_of(notification));
  if (!listener_.still_waits(notification.id)) return;
  if (message.kind == Control::Kind::hello) return handle_hello(notification, caller);
  if (message.kind == Control::Kind::call_site) {
    try {
      events_.told(caller.process.id, caller.task, message);
    } catch (...) {
      events_.give_up();
    }
    return listener_.answer(notification.id, 0);
  }
  if (caller.standing != Caller::Standing::member) return listener_.refuse(notification.id, EPERM);
  const Range& range = message.seal.range;
  std::int64_t answer = -EINVAL;
  switch (message.kind) {
    case Control::Kind::prepare:
      answer = prepare(caller, range);
      break;
    case Control::Kind::filters_are_in:
      answer = registry_.sharers(caller) == shim::Sharing::alone ? 0 : -EAGAIN;
      break;
    case Control::Kind::add_supervised:
    case Control::Kind::add_filtered:
      answer = add(caller, message);
      break;
    case Control::Kind::query:
      answer = static_cast<std::int64_t>(policy::coverage(caller.record->seals(), range));
      break;
    case Control::Kind::hello:
    case Control::Kind::call_site:
      break;
  }
  spdlog::info("pid {}: message {} on [{:#x}, {:#x}): {}", caller.process.id, static_cast<int>(message.kind),
               range.start, range.end, answer);
  if (answer < 0) return listener_.refuse(notification.id, static_cast<int>(-answer));
  listener_.answer(notification.id, answer);
}

// ---- calls ----

namespace {

std::string entry_point_name(int number) {
  switch (number) {
    case __NR_io_uring_setup:
      return "io_uring_setup";
    case __NR_io_uring_enter:
      return "io_uring_enter";
    case __NR_io_uring_register:
      return "io_uring_register";
    case __NR_memfd_create:
      return "memfd_create(MFD_HUGETLB)";
    case __NR_process_madvise:
      return "process_madvise";
    case __NR_prctl:
      return "prctl(PR_SET_MM)";
#ifdef __x86_64__
    case __NR_arch_prctl:
      return "arch_prctl(ARCH_ENABLE_TAGGED_ADDR)";
    case __NR_uselib:
      return "uselib";
#endif
    default:
      return std::to_string(number);
  }
}

// Where in the ranges of a call the first seal is; 0 if there is none.
std::uint64_t first_seal_in(std::span<const Seal> seals, const MmCall& call) {
  std::uint64_t first = 0;
  for (const Range& range : {call.ranges[0], call.ranges[1], call.if_huge}) {
    policy::for_each_sealed_part(seals, range, [&](const Range& part, const Seal&) {
      if (first == 0) first = part.start;
      return false;
    });
  }
  return first != 0 ? first : call.argument;
}

}  // namespace

void Judge::handle_entry_point(const seccomp_notif& notification) {
  try {
    Event event;
    event.process = registry_.look_up(task_of(notification)).process.id;
    event.thread = task_of(notification);
    event.program = program_of(event.thread);
    event.call = entry_point_name(notification.data.nr);
    event.number = static_cast<std::uint64_t>(notification.data.nr);
    std::ranges::copy(notification.data.args, event.arguments.begin());
    event.sealed.object = "[door]";
    event.site = place_in(event.thread, notification.data.instruction_pointer);
    events_.record(std::move(event));
  } catch (...) {
    events_.give_up();
  }
  listener_.let_through(notification.id);
}

void Judge::record(const seccomp_notif& notification, const Caller& caller, const MmCall& call) noexcept {
  const auto number = static_cast<std::uint64_t>(notification.data.nr);
  if (!events_.admits(caller.task, number)) return;
  try {
    const EventLog::Looking looking(events_);
    Event event;
    event.process = caller.process.id;
    event.thread = caller.task;
    event.program = program_of(caller.task);
    event.refused = !rules_.audits;
    event.call = policy::name_of(call.call);
    event.number = number;
    std::ranges::copy(notification.data.args, event.arguments.begin());
    event.range = call.ranges[0];
    std::vector<Place> places = places_in(
        caller.task, {first_seal_in(caller.record->seals(), call), notification.data.instruction_pointer});
    event.sealed = std::move(places[0]);
    event.site = std::move(places[1]);
    events_.record(std::move(event));
  } catch (...) {
    events_.give_up();
  }
}

void Judge::refuse(const seccomp_notif& notification, const Caller& caller, const MmCall& call,
                   const Verdict& verdict) {
  if (rules_.wants_sites) record(notification, caller, call);
  if (rules_.audits) {
    // The call has its way, so what it takes away is sealed no longer; or all that follows would be reported.
    const bool changes_only = call.call == policy::Call::mprotect || call.effect != MmCall::Effect::modify;
    for (const Range& range : call.ranges) {
      if (!changes_only && !range.empty()) caller.record->drop(range);
    }
    calls_.begun(caller.task, call);
    return listener_.let_through(notification.id);
  }
  if (verdict.kind == Verdict::Kind::answer) return listener_.answer(notification.id, verdict.value);
  listener_.refuse(notification.id, EPERM);
}

void Judge::handle_call(const seccomp_notif& notification, const MmCall& call) {
  const Caller caller = registry_.look_up(task_of(notification));
  if (!listener_.still_waits(notification.id)) return;
  if (call.makes_huge_pages && moves_several_mappings()) {
    const std::uint64_t size = call.huge_page != 0 ? call.huge_page : usual_huge_page();
    huge_page_ = std::max(huge_page_, std::min(size, shim::this_machine().huge_pages.back()));
  }
  if (caller.standing == Caller::Standing::unknown) {
    spdlog::warn("pid {}: system call {}: it can't be told whose seals count, so all do", caller.task,
                 notification.data.nr);
  }
  Verdict verdict = policy::kAllow;
  if (!caller.foreign()) {
    verdict = policy::decide(call, {caller.record->seals(), caller.record->refused_breaks(), huge_page_});
    if (verdict == policy::kDependsOnFile)
      verdict = has_ordinary_pages(caller.task, call.argument) ? policy::kAllow : policy::kRefuse;
  }
  spdlog::debug("pid {}: system call {} on [{:#x}, {:#x}): {}", caller.task, notification.data.nr,
                call.ranges[0].start, call.ranges[0].end,
                verdict == policy::kAllow ? "let through" : "refused");
  if (verdict != policy::kAllow) return refuse(notification, caller, call, verdict);
  if (rules_.covers_all) calls_.begun(caller.task, call);
  listener_.let_through(notification.id);
}

}  // namespace libmseal::supervisor
