#include "shim/preload/backend.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "policy/bpf/blocked_calls.h"
#include "policy/bpf/range_program.h"
#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/table_size.h"
#include "shim/preload/ancestors.h"
#include "shim/preload/arena.h"
#include "shim/preload/deny_filter.h"
#include "shim/preload/filter.h"
#include "shim/preload/image_places.h"
#include "shim/preload/io_uring.h"
#include "shim/preload/memory_mark.h"
#include "shim/preload/message.h"
#include "shim/preload/starts.h"
#include "shim/preload/supervised_sealing.h"
#include "shim/preload/supervisor_link.h"
#include "shim/preload/table_reader.h"

namespace libmseal::shim {
namespace {

using policy::Backend;
using policy::Control;
using policy::Range;
using policy::Seal;

// Why a backend did not start. `what` is empty if it did.
struct Outcome {
  std::string_view what;
  long error = 0;              // 0: `what` says all
  std::string_view subject{};  // the file in question, if one is

  [[nodiscard]] bool started() const { return what.empty(); }
};

bool may_be_place_of_images(const Range& range) {
  const auto places = image_places();
  return std::any_of(places.begin(), places.end(), [&](const Range& place) { return place.touches(range); });
}

bool is_watched(const State& state, const Range& range) {
  if (state.rules.covers_all) return true;
  const auto places = watched_places();
  return std::any_of(places.begin(), places.end(), [&](const Range& place) { return place.contains(range); });
}

// Where the first filter refuses by itself, and where it does not: the pieces of the program, in two lists.
struct FirstSeals {
  Pieces denied;
  Pieces supervised;
};

void sort_pieces(const State& state, bool supervised, FirstSeals& seals) {
  seals.denied.clear();
  seals.supervised.clear();
  for (const Seal& piece : state.pieces) {
    const bool left = supervised && (state.rules.audits || may_be_place_of_images(piece.range));
    (void)(left ? seals.supervised : seals.denied).push_back(piece);
  }
}

// The first filter: what is sealed for certain, what somebody has to look at, and the blocked entry points.
Outcome write_base_program(State& state, std::span<const Seal> first, const Range& arena, bool supervised) {
  const policy::Options& options = state.options;
  state.program.clear();
  const bool tells_of_starts = supervised && options.require != Backend::automatic;
  policy::write_blocked_calls(state.machine, options, tells_of_starts, state.program);
  const auto after_blocked_calls = state.program.front();
  const bool audits = supervised && state.rules.audits;
  static Pieces denied;
  denied.clear();
  bool fits = true;
  const auto deny = [&](const Seal& seal) {
    fits = fits && policy::add_seal(denied, seal, Pieces::capacity());
  };
  for (const Seal& piece : first) deny(piece);
  if (!audits) {
    deny({protected_window(arena), true, false, 0});
    deny({other_window(arena), false, false, 0});
  }
  list_ranges(state, denied.view());
  policy::DeniedRanges ranges{state.ranges.view(), state.contents.view()};
  if (!audits) ranges.breaks = state.refused_breaks;
  const auto answer = [&](policy::BlockedCall call, std::uint32_t error) -> std::optional<std::uint32_t> {
    if ((options.open_calls & call) != 0) return std::nullopt;
    return audits ? policy::kActionNotify : SECCOMP_RET_ERRNO | error;
  };
  const policy::UnjudgeableCalls unjudgeable{answer(policy::kBlockedShmRemap, EPERM),
                                             answer(policy::kBlockedOldMmap, ENOSYS),
                                             answer(policy::kBlockedIoDestroy, EPERM)};
  policy::RangeProgram what;
  if (supervised) {
    what = first_filter(ranges, state.watched.view(), unjudgeable);
  } else {
    policy::Unsupervised refused = refuse_what_nobody_judges(state, denied.view());
    refused.refuse_huge_pages = (options.open_calls & policy::kBlockedHugetlbFiles) == 0;
    what = first_filter_without_supervisor(ranges, refused, unjudgeable);
  }
  if (!fits || !policy::compile(state.machine, what, after_blocked_calls, state.program))
    return {"too many ranges for one filter", -ENOMEM};
  return {};
}

Seal table_seal(const void* table) {
  return {Range::of(reinterpret_cast<std::uint64_t>(table), kTableBytes)};
}

// Inside a tree that has a supervisor: this image joins it.
Outcome join_supervisor(State& state, long table_descriptor) {
  state.joined = true;
  const long mapped = map_table(table_descriptor, state.table);
  if (mapped == -EPROTO) return {"the supervisor of this process tree is of another version", 0};
  if (mapped != 0) return {"the supervisor's table could not be mapped", mapped};

  set_arena(state, table_arena(state.table));
  state.rules = table_rules(state.table);
  // Filters of earlier images still refuse what touches their ranges: nothing must ever be placed there.
  for (const Range& fence : table_fences(state.table)) {
    (void)raw_syscall(__NR_mmap, fence.start, fence.size(), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    note_filtered(state, fence);
  }
  prepare_starts(state);

  if (state.pieces.empty()) return {};
  (void)policy::add_seal(state.pieces, table_seal(state.table), Pieces::capacity());
  static Pieces filtered;
  filtered.clear();
  const bool by_supervisor = state.rules.audits || state.refused_breaks.empty();
  for (const Seal& piece : state.pieces) {
    const bool taken = by_supervisor && is_watched(state, piece.range) && seal_by_supervisor(piece);
    if (!taken) (void)filtered.push_back(piece);
  }
  state.pieces = filtered;
  if (filtered.empty()) return {};
  if (const long error = install_deny_filter(state); error != 0) return {"no filter for this program", error};
  for (const Seal& piece : filtered) {
    if (const long error = tell_supervisor({Control::Kind::add_filtered, piece}); error != 0)
      return {"the supervisor does not take the seals of this program", error};
  }
  return {};
}

// What the kernel makes of mseal(2): asked by what it does.
enum class KernelMseal : std::uint8_t { works, refused, missing };

KernelMseal ask_kernel(const State& state) {
  if (state.emulated) return KernelMseal::missing;
  const std::uint64_t page = state.machine.page_size;
  const auto mseal = [](std::uint64_t address, std::uint64_t length, std::uint64_t flags) {
    return raw_syscall(policy::kMsealNumber, address, length, flags);
  };
  // Nothing of this seals anything: a bad flag, an unaligned start, an empty range, and one where no program
  // can have memory.
  constexpr std::uint64_t kNowhere = 1ULL << 55;
  const long with_bad_flag = mseal(page, 0, 1);
  if (with_bad_flag == -EPERM) return KernelMseal::refused;  // a container's profile may
  const bool works = with_bad_flag == -EINVAL && mseal(page + 1, page, 0) == -EINVAL &&
                     mseal(page, 0, 0) == 0 && mseal(kNowhere, page, 0) == -ENOMEM;
  return works ? KernelMseal::works : KernelMseal::missing;
}

// Filters of this tree are in force, which admit no second listener: what became of its supervisor.
Outcome explain_no_answer(long answer) {
  switch (answer) {
    case -ENOSYS:
    case -EINVAL:
      return {"the supervisor of this process tree is gone, or there never was one", 0};
    case -EMFILE:
      return {"the supervisor's table can't be given to this process", answer};
    default:
      return {"the supervisor of this process tree can't serve this process", answer};
  }
}

// What was asked of the supervisor's files, and is not there.
void tell_of_files(const State& state, const policy::Serving& answer) {
  const auto tell = [&state](std::string_view key, std::string_view path, long error) {
    if (error == 0) return;
    Message() << key << path << " can't be written: " << text_of_error(error)
              << (state.options.audit ? "; an audit that can't be read is none, the program is not started"
                                      : "");
    if (state.options.audit) give_up();
  };
  tell("events=", state.options.events, answer.events);
  tell("log=", state.options.log, answer.log);
}

Outcome start_seccomp(State& state, Launch& launch) {
  const long table = tell_supervisor({Control::Kind::hello, {}});
  if (table >= 0) return join_supervisor(state, table);
  const long probed = probe_listener();
  if (probed == -EBUSY) return explain_no_answer(table);
  if (probed != 0) return {"no seccomp listener", probed};
  if (const long error = raw_syscall(__NR_faccessat, AT_FDCWD, "/proc/self/stat", R_OK); error != 0)
    return {"the supervisor needs /proc", error};
  if (const long error = launch.start(state); error != 0) return {"no process for the supervisor", error};
  if (const long error = launch.wait_ready(); error != 0)
    return {launch.trouble(), error, {state.supervisor_path.data()}};
  state.table = launch.keep_table();
  (void)policy::add_seal(state.pieces, table_seal(state.table), Pieces::capacity());

  state.watched.clear();
  state.rules = policy::tree_rules(state.options);
  if (state.rules.covers_all) {
    (void)state.watched.push_back({0, ~0ULL});
  } else {
    for (const Range& place : watched_places()) (void)state.watched.push_back(place);
  }
  const Range arena = choose_arena();
  static FirstSeals first;
  sort_pieces(state, true, first);
  if (Outcome written = write_base_program(state, first.denied.view(), arena, true); !written.started())
    return written;

  const long listener = install_filter(state.program.instructions(), true);
  if (listener < 0) return {"the filter could not be installed", listener};
  const std::size_t filtered = first.denied.size();
  for (const Seal& piece : first.supervised) (void)first.denied.push_back(piece);
  const policy::Serving answer = launch.hand_over(static_cast<int>(listener), first.denied.view(), filtered,
                                                  state.watched.view(), arena, {state.option_text.data()});
  (void)raw_syscall(__NR_close, listener);
  if (answer.result != 0) {
    // The filter is in for good, and nobody answers it: hits fail with ENOSYS. That is closed, not open.
    return {"the supervisor did not take over", answer.result};
  }
  tell_of_files(state, answer);
  set_arena(state, arena);
  return {};
}

Outcome start_filter(State& state) {
  look_for_marks();
  state.watched.clear();
  const Range arena = choose_arena();
  if (Outcome written = write_base_program(state, state.pieces.view(), arena, false); !written.started())
    return written;
  if (const long error = install_filter(state.program.instructions(), false); error != 0) {
    return {"no seccomp filter", error};
  }
  for (const Seal& piece : state.pieces) (void)state.ledger.add(piece);
  set_arena(state, arena);
  (void)state.ledger.add({protected_window(arena), true});
  (void)state.ledger.add({other_window(arena)});
  return {};
}

bool keeps_strictly(const policy::Options& options) {
  return options.discard_given && options.discard == policy::DiscardRule::strict;
}

Outcome start_kernel(State& state, KernelMseal kernel) {
  if (kernel == KernelMseal::refused) return {"a seccomp profile refuses mseal(2) (EPERM)", 0};
  if (kernel == KernelMseal::missing) return {"no mseal(2) in this kernel", 0};
  if (keeps_strictly(state.options)) return {"mseal(2) does not keep discard=strict", 0};
  for (const Seal& piece : state.pieces) {
    const long sealed = raw_syscall(policy::kMsealNumber, piece.range.start, piece.range.size(), 0);
    if (sealed != 0) return {"mseal(2) refused a loaded object", sealed};
    (void)state.ledger.add(piece);
  }
  return {};
}

Outcome start_libc(State& state) {
  for (const Seal& piece : state.pieces) {
    if (!state.ledger.add(piece)) return {"no room for the loaded objects", -ENOMEM};
  }
  return {};
}

Outcome try_backend(State& state, Backend backend, KernelMseal kernel, Launch& launch) {
  if (state.emulated && backend != Backend::libc) return {"valgrind has no seccomp", -ENOSYS};
  if (state.options.audit && backend != Backend::seccomp)
    return {"mode=audit takes the backend seccomp", -EINVAL};
  switch (backend) {
    case Backend::kernel:
      return start_kernel(state, kernel);
    case Backend::seccomp:
      return start_seccomp(state, launch);
    case Backend::filter:
      return start_filter(state);
    case Backend::libc:
    case Backend::automatic:
      break;
  }
  return start_libc(state);
}

constexpr std::string_view consequence(Backend backend) {
  switch (backend) {
    case Backend::filter:
      return "calls whose extent the arguments do not show are refused altogether";
    case Backend::libc:
      return "only libc calls are checked, raw system calls pass";
    default:
      return "";
  }
}

// "what, error text" with the file in question.
Message& operator<<(Message& message, const Outcome& outcome) {
  message << outcome.what;
  if (!outcome.subject.empty()) message << " (" << outcome.subject << ")";
  if (outcome.error == 0) return message;
  return message << ", " << text_of_error(outcome.error);
}

// Whether no address can carry tag bits: this memory has no linear address masking, and, where filters rely
// on that, can't get it, for we or an ancestor have closed the way to it. They are shorter then.
bool has_no_tags(Backend backend) {
#ifdef __x86_64__
  constexpr long kGetUntagMask = 0x4001;        // ARCH_GET_UNTAG_MASK; EINVAL of kernels that have no masking
  constexpr long kSetTaggedAddresses = 0x4002;  // ARCH_ENABLE_TAGGED_ADDR
  constexpr long kTooManyBits = 64;             // the kernel's own answer is EINVAL
  std::uint64_t mask = ~0ULL;
  const long asked = raw_syscall(__NR_arch_prctl, kGetUntagMask, &mask);
  const bool untagged = asked == 0 ? mask == ~0ULL : asked == -EINVAL;
  const bool filters = backend == Backend::seccomp || backend == Backend::filter;
  if (!untagged || !filters) return untagged;
  return raw_syscall(__NR_arch_prctl, kSetTaggedAddresses, kTooManyBits) == -EPERM;
#else
  return false;
#endif
}

// Behind "on Linux ...": why it is this backend.
std::string_view circumstances(const State& state, KernelMseal kernel) {
  if (state.joined) return ", under the supervisor of this process tree";
  switch (kernel) {
    case KernelMseal::missing:
      return ", which has no mseal(2)";
    case KernelMseal::refused:
      return ", where a seccomp profile refuses mseal(2)";
    case KernelMseal::works:
      break;
  }
  const bool passed_over = state.options.backend == Backend::automatic && keeps_strictly(state.options);
  return passed_over ? ", whose mseal(2) does not keep discard=strict" : ", which has mseal(2)";
}

// What the supervisor would write, and nobody else does.
void tell_of_unwritten_events(const State& state) {
  if (state.backend == Backend::seccomp || state.options.events.empty()) return;
  if (!first_in_tree(state, Notice::unwritten_events, 0, 0)) return;
  Message() << "events=" << state.options.events << " is not written: backend " << name_of(state.backend)
            << " records nothing, backend=seccomp does";
}

void report(const State& state, KernelMseal kernel, Backend asked, const Outcome& reason) {
  const Backend started = state.backend;
  const Backend wanted = asked == Backend::automatic ? Backend::seccomp : asked;
  if (!reason.started() && started < wanted) {
    // The same whatever the cause: who does without because an ancestor does has nothing to add.
    if (!first_in_tree(state, Notice::weaker_backend, static_cast<std::uint32_t>(started), reason.error))
      return;
    Message message;
    message << "backend " << name_of(started) << " instead of " << name_of(wanted) << ": " << reason;
    if (started < Backend::seccomp) message << "; " << consequence(started);
  } else if (state.options.verbose) {
    utsname system{};
    (void)raw_syscall(__NR_uname, &system);
    Message() << "backend " << name_of(started) << " on Linux " << system.release
              << circumstances(state, kernel);
  }
}

}  // namespace

void start_idle(State& state) {
  const long table = tell_supervisor({Control::Kind::hello, {}});
  if (table < 0) return;
  if (join_supervisor(state, table).started()) {
    state.backend = Backend::seccomp;
    if (!state.rules.audits && has_no_tags(state.backend)) state.machine.address_mask = ~0ULL;
  } else {
    state.table = nullptr;
    state.joined = false;
  }
}

long start_backend_late(State& state) {
  const policy::Options& options = state.options;
  const bool by_kernel = options.backend >= Backend::kernel || options.backend == Backend::automatic;
  const bool by_filter = options.backend != Backend::libc && !state.emulated &&
                         !(by_kernel && ask_kernel(state) == KernelMseal::works);
  if (by_filter && may_have_io_uring(options)) {
    static bool said = false;
    if (!said) {
      Message()
          << "mseal: the program had an io_uring before its first seal, and no filter sees what that does: "
             "make it afterwards, or set open=io_uring";
    }
    said = true;
    return -EAGAIN;
  }
  state.pieces.clear();
  Launch launch;
  start_backend(state, launch);
  return 0;
}

void start_backend(State& state, Launch& launch) {
  const policy::Options& options = state.options;
  const Backend asked = options.backend;
  constexpr Backend kByStrength[] = {Backend::kernel, Backend::seccomp, Backend::filter, Backend::libc};
  const KernelMseal kernel = ask_kernel(state);  // now: our own filter will answer for the kernel
  static Pieces initial;
  initial = state.pieces;
  Outcome reason;
  for (const Backend backend : kByStrength) {
    if (asked != Backend::automatic && backend > asked) continue;
    state.pieces = initial;
    const Outcome outcome = try_backend(state, backend, kernel, launch);
    if (!outcome.started()) {
      state.table = nullptr;  // whoever would have written it is not there
      state.joined = false;
      state.rules = {};
      if (backend == Backend::seccomp) launch.stop();  // descriptors may be few
      // Why the first choice of those that could have been is not there; that the kernel has no mseal(2) is
      // no news.
      if (reason.started() || (asked == Backend::automatic && backend == Backend::seccomp)) reason = outcome;
      continue;
    }
    state.backend = backend;
    if (backend == Backend::seccomp || backend == Backend::filter) mark_memory();
    // An audit, which leaves that call open, would take the question for an attempt.
    if (!state.rules.audits && has_no_tags(state.backend)) state.machine.address_mask = ~0ULL;
    if (options.require > backend) {
      if (asked != Backend::automatic && options.require > asked)
        reason = {"a weaker backend is asked for", 0, name_of(asked)};
      Message() << "require=" << name_of(options.require) << " cannot be met: " << reason
                << "; the program is not started";
      give_up();
    }
    report(state, kernel, asked, reason);
    tell_of_unwritten_events(state);
    leave_marks(state);
    return;
  }
  if (options.audit) {
    Message() << "mode=audit cannot be met: " << reason << "; the program is not started";
    give_up();
  }
  Message() << "nothing can be sealed: " << reason;
  give_up();
}

}  // namespace libmseal::shim
