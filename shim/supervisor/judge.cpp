#include "shim/supervisor/judge.h"
#include "shim/supervisor/log.h"

#include <asm/unistd.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <exception>
#include <fstream>
#include <string>

#include "policy/rules/mm_call.h"
#include "policy/rules/verdict.h"
#include "shim/common/machine.h"
#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {
namespace {

std::string shown(const policy::Range& range) {
  return text("[", Hex{range.start}, ", ", Hex{range.end}, ")");
}

using policy::Control;
using policy::MmCall;
using policy::Range;
using policy::Seal;
using policy::Verdict;

#ifdef __x86_64__
constexpr std::uint32_t kOtherSetTidAddress = 258;  // of i386
#else
constexpr std::uint32_t kOtherSetTidAddress = 256;  // of arm
#endif

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

Judge::Judge(Listener& listener, Proc& proc, Registry& registry, const PolicyLevels& policies,
             std::vector<Range> watched, const policy::Options& options)
    : listener_(listener),
      registry_(registry),
      policies_(policies),
      rules_(policy::tree_rules(options)),
      calls_(proc),
      sealing_(proc, registry, calls_, std::move(watched), options),
      events_(options) {}

void Judge::handle(const seccomp_notif& notification) noexcept {
  try {
    return decide_about(notification);
  } catch (const std::exception& error) {
    try {
      log(Level::error, "pid ", notification.pid, ": system call ", notification.data.nr,
          " is refused: ", error.what());
      (void)registry_.collect_now();
    } catch (...) {  // NOLINT(bugprone-empty-catch): nothing is left to be done about it
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is refused, below
  }
  listener_.refuse(notification.id, notification.data.nr == policy::kMsealNumber ? ENOMEM : EPERM);
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
  const bool native = abi == machine.abis.data();
  if (number == (native ? __NR_set_tid_address : kOtherSetTidAddress)) return handle_start(notification);
  if (find_call(*abi, number) == nullptr) return handle_entry_point(notification);
  const MmCall call = decode(machine, *abi, number, arguments);
  if (call.effect == MmCall::Effect::seal) return handle_mseal(notification, arguments, native);
  handle_call(notification, call);
}

// ---- mseal, and what the library says by it ----

void Judge::handle_mseal(const seccomp_notif& notification, const policy::Arguments& arguments, bool native) {
  bool malformed = false;
  const auto message =
      native ? policy::decode_control(shim::this_machine(), arguments, malformed) : std::nullopt;
  if (malformed) {
    log(Level::warning, "pid ", notification.pid, ": malformed control message, flags ", Hex{arguments[2]});
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
  // What can't be looked at now may be recognised by nothing later.
  if (caller.foreign() && caller.identity.readable()) make_image(caller);
  if (!caller.may_seal()) return listener_.refuse(notification.id, EPERM);
  const std::int64_t result = sealing_.seal_raw(caller, shim::this_machine(), arguments);
  respond(notification, result);
  log(Level::info, "pid ", caller.process.id, ": mseal(", Hex{arguments[0]}, ", ", Hex{arguments[1]}, ", ",
      Hex{arguments[2]}, "): ", result);
}

void Judge::handle_hello(const seccomp_notif& notification, Caller& caller) {
  // What can't be looked at now may be recognised by nothing later.
  if (!caller.identity.readable()) return listener_.refuse(notification.id, EPERM);
  if (caller.foreign()) make_image(caller);
  const int given = listener_.give_descriptor(notification.id, caller.image->table->descriptor());
  log(Level::info, "pid ", caller.process.id, ": joined, ", caller.image->table->fences().size(), " fences");
  if (given < 0) return listener_.refuse(notification.id, EMFILE);
  listener_.answer(notification.id, given);
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
  const bool asks = message.kind == Control::Kind::query || message.kind == Control::Kind::is_writable;
  if (caller.standing != Caller::Standing::member || (!asks && !caller.may_seal()))
    return listener_.refuse(notification.id, EPERM);
  const std::int64_t answer = answer_to(caller, message);
  const bool seals = message.kind == Control::Kind::seal || message.kind == Control::Kind::filters_are_in;
  if (answer == -EAGAIN && seals && postpone(notification)) return;
  if (answer < 0 && seals) (void)sealing_.give_up(caller);
  respond(notification, answer);
  log(Level::info, "pid ", caller.process.id, ": message ", static_cast<int>(message.kind), " on ",
      shown(message.seal.range), ": ", answer);
}

void Judge::respond(const seccomp_notif& notification, std::int64_t answer) {
  if (answer < 0) {
    listener_.refuse(notification.id, static_cast<int>(-answer));
  } else {
    listener_.answer(notification.id, answer);
  }
  tidying_ = sealing_.tidy();
}

std::int64_t Judge::answer_to(const Caller& caller, const Control& message) {
  const Range& range = message.seal.range;
  switch (message.kind) {
    case Control::Kind::range:
      return sealing_.add_range(caller, message);
    case Control::Kind::seal:
      return sealing_.seal(caller, message);
    case Control::Kind::filters_are_in:
      return sealing_.filters_are_in(caller, message);
    case Control::Kind::give_up:
      return sealing_.give_up(caller);
    case Control::Kind::is_writable:
      return sealing_.is_writable(caller, range);
    case Control::Kind::prepare:
      return sealing_.prepare(caller, range);
    case Control::Kind::is_alone:
      return sealing_.is_alone(caller);
    case Control::Kind::add_supervised:
    case Control::Kind::add_filtered:
      return sealing_.add(caller, message);
    case Control::Kind::query:
      return static_cast<std::int64_t>(policy::coverage(caller.record->seals(), range));
    case Control::Kind::hello:
    case Control::Kind::call_site:
      break;
  }
  return -EINVAL;
}

// ---- later ----

bool Judge::postpone(const seccomp_notif& notification) {
  constexpr auto kAtMost = std::chrono::seconds(1);
  constexpr std::size_t kMost = 64;
  const auto known = std::ranges::find_if(
      postponed_, [&](const Postponed& one) { return one.notification.id == notification.id; });
  if (known != postponed_.end()) return Clock::now() < known->until;
  if (postponed_.size() == kMost) return false;
  postponed_.push_back({notification, Clock::now() + kAtMost});
  return true;
}

void Judge::handle_postponed() {
  // What is postponed again stays in the list; all else has been answered.
  std::vector<std::uint64_t> ids;
  for (const Postponed& one : postponed_) ids.push_back(one.notification.id);
  for (const std::uint64_t id : ids) {
    const auto at =
        std::ranges::find_if(postponed_, [&](const Postponed& one) { return one.notification.id == id; });
    const seccomp_notif notification = at->notification;
    if (listener_.still_waits(id)) handle(notification);
    std::erase_if(postponed_, [&](const Postponed& one) {
      return one.notification.id == id && !listener_.still_waits(id);
    });
  }
}

void Judge::idle() noexcept {
  try {
    events_.flush();
    handle_postponed();
    tidying_ = sealing_.tidy();
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is tried again
  }
}

int Judge::patience() const {
  constexpr int kMomentForSite = 50;  // ms in which a refused thread tells of its call site
  if (!postponed_.empty() || tidying_) return 1;
  return events_.waiting() ? kMomentForSite : -1;
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

// Where an inherited filter refuses, the dynamic linker can't map a library in full, nor unmap it again: a
// part of it is still there. It then does without the library, as long as that was only preloaded.
void Judge::handle_start(const seccomp_notif& notification) {
  const Caller caller = registry_.look_up(task_of(notification));
  if (!listener_.still_waits(notification.id)) return;
  if (!caller.foreign()) return listener_.continue_call(notification.id);
  const std::vector<Range> filters = registry_.inherited_filters(caller.process);
  bool has_library = false;
  bool meets_filter = false;
  visit_maps_of(caller.task, [&](const policy::Vma& vma) {
    has_library = has_library || vma.name.substr(vma.name.rfind('/') + 1).starts_with("libmseal.so");
    meets_filter = meets_filter || std::ranges::any_of(filters, [&](const Range& filter) {
                     return filter.touches(vma.range);
                   });
    return !has_library || !meets_filter;
  });
  if (has_library && meets_filter && listener_.still_waits(notification.id)) {
    log(Level::error, "pid ", caller.process.id,
        " is killed before it runs, for the library is required: the kernel has placed ",
        program_of(caller.process.id),
        " where a filter of an earlier program refuses; start it again, or use coverage=all");
    (void)kill(caller.process.id, SIGKILL);
  }
  listener_.continue_call(notification.id);
}

void Judge::handle_entry_point(const seccomp_notif& notification) {
  try {
    Event event;
    event.process = registry_.look_up(task_of(notification)).process.id;
    event.thread = task_of(notification);
    event.program = program_of(event.thread);
    event.call = entry_point_name(notification.data.nr);
    event.number = static_cast<std::uint64_t>(notification.data.nr);
    std::ranges::copy(notification.data.args, event.arguments.begin());
    event.sealed.object = "[blocked call]";
    event.site = place_in(event.thread, notification.data.instruction_pointer);
    events_.record(std::move(event));
  } catch (...) {
    events_.give_up();
  }
  listener_.continue_call(notification.id);
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
    return listener_.continue_call(notification.id);
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
    log(Level::warning, "pid ", caller.task, ": system call ", notification.data.nr,
        ": it can't be told whose seals count, so all do");
  }
  Verdict verdict = policy::kAllow;
  if (!caller.foreign()) {
    verdict = policy::decide(call, {caller.record->seals(), huge_page_});
    if (verdict == policy::kDependsOnFile)
      verdict = has_ordinary_pages(caller.task, call.argument) ? policy::kAllow : policy::kRefuse;
  }
  log(Level::debug, "pid ", caller.task, ": system call ", notification.data.nr, " on ",
      shown(call.ranges[0]), ": ", verdict == policy::kAllow ? "let through" : "refused");
  if (verdict != policy::kAllow) return refuse(notification, caller, call, verdict);
  if (rules_.covers_all) calls_.begun(caller.task, call);
  listener_.continue_call(notification.id);
}

}  // namespace libmseal::supervisor
