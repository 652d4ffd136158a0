// Messages between the library ("shim") and the supervisor.
//
// Once the first filter is installed, a message is the system call mseal with a magic fourth argument. The
// notification tells the supervisor which process sent it. The flags are never zero, so a kernel with
// mseal(2) and no supervisor answers EINVAL. A message can add seals but never remove one: a forged message
// can only restrict its sender and processes that may have inherited its seals. The supervisor can't see what
// a filter refuses, so the library keeps its own list. A process that reports a filter it does not have
// gains nothing: the list decides about its later seals. For its later children, the supervisor accepts such
// a claim only if the process has one filter more than when it asked.
//
// A container's seccomp profile that does not know mseal may answer it before the supervisor is notified. So
// a message can also be sent as an mmap, which every profile allows, of huge pages of an invalid size. The
// first filter notifies of it, and the kernel would answer EINVAL.
//
// One call of mseal():
//
//   library                              supervisor
//   seal (range, types, break)     ->    stops the other threads and reads the mappings
//                                  <-    NextStep::sealed: it refuses calls there itself, done; or
//                                        NextStep::filter: the pieces are in the table, under a ticket
//   reads the pieces (take_found) and installs a deny filter for them
//   filters_are_in                 ->    stops the threads again, finds calls in flight, reads again
//                                  <-    NextStep::sealed; or NextStep::filter, if the mappings have changed
//
// More than one range is announced by `range` before. If the supervisor may not read the mappings
// (NextStep::by_itself), the library reads them: prepare, is_alone, and add_filtered or add_supervised.
#pragma once

#include <cerrno>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>

#include "policy/protocol/layout.h"
#include "policy/rules/fixed_vector.h"
#include "policy/rules/mm_call.h"
#include "policy/rules/seal.h"

namespace libmseal::policy {

inline constexpr std::uint64_t kControlMagic = 0x6C69626D7365616CULL;

struct Control {
  enum class Kind : std::uint8_t {
    join = 1,  // a new image joins the tree. Answer: a descriptor of its seal table, or a TablePlace

    // Sealing where the supervisor reads the mappings, with the threads of the program stopped.
    range = 2,           // `seal.range` is to be sealed by the next `seal`. Answer: 0
    seal = 3,            // seal those ranges and this one, which may be empty. Answer: a SealAnswer
    filters_are_in = 4,  // the filters that were asked for are installed. Answer: a SealAnswer
    cancel = 5,          // they could not be installed. Answer: 0
    is_writable = 6,     // is anything in `seal.range` writable? Answer: 1 or 0

    // Sealing where the supervisor may not read the mappings, so that the program does.
    prepare = 7,         // may `seal.range` be sealed, and how? Answer: a NextStep
    is_alone = 8,        // does no other process share this memory? Answer: 0
    add_supervised = 9,  // the supervisor is to refuse from now on. Answer: 0 or kHasOtherThreads
    add_filtered = 10,   // a deny filter refuses; the supervisor is to decide delegated calls. As before

    query = 11,  // how is `seal.range` sealed? Answer: a Sealed
    // The call site of the next call, or of the call that was just refused. Answer: 0, or kTooMany
    call_site = 12,
    refusals = 13,  // filters refused `count` calls for which no call_site was sent. Answer: 0
  };

  Kind kind = Kind::join;
  Seal seal;  // most kinds use only the range, `seal` and `prepare` also the types, call_site nothing
  // For `range`, add_supervised and add_filtered: further ranges. Not in a message by mmap.
  FixedVector<Range, 3> more{};
  bool last_is_supervised = false;  // for add_filtered: the last of `more` is meant as in add_supervised
  // Not for `range`: the library itself finds out that no other process shares the memory. The supervisor
  // believes it for this request only: if it is a lie, the liar's own seal does not hold. For add_supervised
  // and add_filtered only at the start.
  bool is_alone = false;

  bool object_part = false;   // for `range`: seal only what is private and not writable there
  bool writable_too = false;  // for such a `range`: also what is writable

  // For `seal` and `filters_are_in`.
  std::uint64_t present_break = 0;  // the current break
  bool discard_as_kernel = false;   // DiscardRule::kernel

  // Only for call_site.
  bool refused = false;
  std::uint64_t site = 0;            // the address that the call returns to
  std::uint32_t number = 0;          // of the system call
  std::uint32_t third_argument = 0;  // of that call: a protection, an advice, a size

  std::uint32_t count = 0;  // only for `refusals`
};

constexpr std::string_view name_of(Control::Kind kind) {
  constexpr std::string_view kNames[] = {
      "join",     "range",          "seal",         "filters_are_in", "cancel",    "is_writable", "prepare",
      "is_alone", "add_supervised", "add_filtered", "query",          "call_site", "refusals"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Control::Kind::refusals));
  return kNames[static_cast<std::size_t>(kind) - 1];
}

// Too many calls are being refused, so this one is only counted.
inline constexpr std::int64_t kTooMany = 1;

// What a program that seals at its start learns: its other threads may be in calls that began before.
inline constexpr std::int64_t kHasOtherThreads = 1;

// How sealing continues.
enum class NextStep : std::uint8_t {
  sealed = 0,      // every byte is sealed
  filter = 1,      // the program has to install a deny filter
  supervised = 2,  // the supervisor refuses, because it is notified of the calls there
  by_itself = 3,   // the supervisor may not read the mappings: the program has to
  again = 4,       // the threads are stopped now: send `seal` again, with the current break and no range
  look = 5,        // the supervisor can't tell who shares the memory: send the message again with `is_alone`,
                   // and look after the seal is in force
};

// The answer to `seal` and `filters_are_in`. The ticket identifies what the supervisor has put into the seal
// table for the program: the pieces that need a filter or, with NextStep::sealed, ranges with protection
// keys. 0: nothing.
struct SealAnswer {
  NextStep step = NextStep::sealed;
  std::uint32_t ticket = 0;
};
constexpr std::int64_t encode(const SealAnswer& answer) {
  return static_cast<std::int64_t>(std::uint64_t{answer.ticket} << 8 |
                                   static_cast<std::uint64_t>(answer.step));
}
constexpr SealAnswer decode_seal_answer(std::int64_t answer) {
  return {static_cast<NextStep>(answer & 0xFF),
          static_cast<std::uint32_t>(static_cast<std::uint64_t>(answer) >> 8)};
}

constexpr std::int64_t encode(const Sealed& sealed) {
  return std::int64_t{sealed.types.bits()} << 8 | static_cast<std::int64_t>(sealed.coverage);
}
constexpr Sealed decode_sealed(std::int64_t answer) {
  return {static_cast<Coverage>(answer & 0xFF), SealTypes::of_bits(static_cast<std::uint8_t>(answer >> 8))};
}

// The answer to a message. Except for the descriptor of `join` it is never 0, which would mean that a filter
// of the program has answered with errno 0 and the supervisor has not received the message.
constexpr std::int64_t encode_answer(std::int64_t answer) {
  return answer < 0 ? answer : answer + 1;
}
constexpr std::int64_t decode_answer(std::int64_t answer) {
  if (answer == 0) return -EPERM;
  return answer < 0 ? answer : answer - 1;
}

// Where a process can open its seal table: as this descriptor of this process.
struct TablePlace {
  std::int32_t process = 0;
  std::int32_t descriptor = 0;
};
inline constexpr int kBitsOfDescriptor = 24;
inline constexpr std::int64_t kIsTablePlace = std::int64_t{1} << 62;
constexpr std::int64_t encode(const TablePlace& place) {
  return kIsTablePlace | std::int64_t{place.process} << kBitsOfDescriptor | place.descriptor;
}
// Nothing if it is a descriptor or -errno.
constexpr std::optional<TablePlace> decode_table_place(std::int64_t answer) {
  if (answer < kIsTablePlace) return std::nullopt;
  return TablePlace{static_cast<std::int32_t>((answer - kIsTablePlace) >> kBitsOfDescriptor),
                    static_cast<std::int32_t>(answer & ((1 << kBitsOfDescriptor) - 1))};
}

Arguments encode(const Control& message);

// Puts as many ranges as fit into the message, at least one, and returns how many.
std::size_t put_ranges(Control& message, std::span<const Range> ranges);

// Nothing if it is not a control message, or a malformed one (then `malformed` is set).
std::optional<Control> decode_control(const Machine& machine, const Arguments& arguments, bool& malformed);

// Converts a message to arguments of mmap, and back; nothing if they are not a message.
Arguments wrap_in_mmap(const Arguments& message);
std::optional<Arguments> unwrap_from_mmap(const Arguments& arguments);

// Added to the errors that answer a wrapped message, to tell them from errors of the kernel or other filters.
inline constexpr int kWrappedErrors = 1000;

// ---- the hand-over, on a socket pair, before the first filter is installed ----

// The descriptor of the supervisor's end.
inline constexpr int kHandoverSocket = 3;

// Why a supervisor is not ready.
enum class Trouble : std::uint32_t {
  none,
  not_run,         // execve failed
  no_table,        // no memory for the seal table
  few_files,       // the limit on open files is too low
  no_proc,         // there is no procfs at /proc
  foreign_proc,    // /proc belongs to another pid namespace
  hidden_program,  // the supervisor may not inspect the program
  refused_call,    // a filter refuses a call that the supervisor needs
};

// Supervisor to shim, with the descriptor of the table if there is no trouble. The first two fields have the
// same place in every version.
struct Ready {
  std::uint64_t magic = kControlMagic;
  std::uint32_t version = kLayoutVersion;
  Trouble trouble = Trouble::none;
  std::int32_t error = 0;  // of the trouble, as errno
  std::uint32_t reserved = 0;
};

// Shim to supervisor, with the listener unless the supervisor is to trace the program. `seals` structs Seal,
// `watched` structs Range and `options` bytes of MSEAL_OPTIONS follow.
struct Start {
  std::uint64_t magic = kControlMagic;
  std::uint32_t version = kLayoutVersion;
  std::uint32_t seals = 0;
  std::uint32_t filtered = 0;  // the first filter itself refuses this many of the seals, the first ones
  std::uint32_t watched = 0;
  std::uint32_t options = 0;
  std::uint8_t ran_before_filter = 0;  // 1: the program, which may have called io_setup
  std::uint8_t has_own_memory = 0;     // 1: no older process shares the program's memory
  std::uint8_t may_be_subreaper = 0;   // 1: the program may be a subreaper
  std::uint8_t by_ptrace = 0;          // 1: the supervisor traces the program
  Range sealed_area;                   // empty if there is none
};

// Supervisor to shim: it serves from now on if `result` is 0; otherwise that is -errno.
struct Serving {
  std::int32_t result = 0;
  std::int32_t log = 0;     // errno of opening the log file; 0: it is open, or there is none
  std::int32_t events = 0;  // the same for the events file
  std::uint32_t reserved = 0;
};

}  // namespace libmseal::policy
