// What the shim and the supervisor say to each other.
//
// Once the base filter is in, the channel is the system call mseal itself with a magic fourth argument: the
// kernel tells the supervisor which process speaks, the arguments are registers, and the flags are never
// zero, so that a kernel with mseal(2) and no supervisor answers EINVAL. A message can add seals and never
// removes one: a forged message can only make its sender stricter with itself, and with it processes that may
// have been born with its seals. What a filter refuses, the supervisor can't see: so the library keeps
// account of that, and a process that lies about it makes none of its later seals weaker. For those born
// later it is believed of a process that has one filter more than when it asked.
//
// A container's seccomp profile may answer mseal for itself, for it does not know the call, and the
// supervisor hears nothing then. So the same can be said by mmap, which every profile allows: of huge pages
// of a size that is none, which the first filter notifies, and which the kernel answers with EINVAL.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>

#include "policy/protocol/layout.h"
#include "policy/rules/fixed_vector.h"
#include "policy/rules/mm_call.h"
#include "policy/rules/seal.h"

namespace libmseal::policy {

inline constexpr std::uint64_t kControlMagic = 0x6C69626D7365616CULL;

struct Control {
  enum class Kind : std::uint8_t {
    hello = 1,  // this image wants seals. Answer: a descriptor of its table

    // Sealing: the supervisor looks, while the threads of the program stand still.
    range = 2,           // `seal.range` shall be sealed with the next `seal`. Answer: 0
    seal = 3,            // so shall this one, which may be empty; look at all. Answer: how to go on
    filters_are_in = 4,  // those that it asked for. Answer: how to go on
    give_up = 5,         // they could not be installed. Answer: 0
    is_writable = 6,     // can anything in `seal.range` be written? Answer: 1 or 0

    // Where the supervisor may not look, the program does.
    prepare = 7,         // may `seal.range` be sealed, and how? Answer: a Way
    is_alone = 8,        // has nobody else this memory? Answer: 0
    add_supervised = 9,  // the supervisor refuses from now on. Answer: 0
    add_filtered = 10,   // a deny filter refuses already; the supervisor decides what is deferred. Answer: 0

    query = 11,  // how has the process sealed `seal.range`? Answer: a Sealed
    // Where in the program a call comes from that is about to be made or was refused. Answer: 0, or kTooMany
    call_site = 12,
    refusals = 13,  // filters refused `count` calls of which no call_site told. Answer: 0
  };

  Kind kind = Kind::hello;
  Seal seal;  // of most kinds the range alone, of `seal` and `prepare` the types, of call_site anything
  // Of `range`, add_supervised and add_filtered: the same of these. Not in a message that mmap carries.
  FixedVector<Range, 3> more{};

  bool constant = false;   // of `range`: only what is private there and can't be written
  bool with_data = false;  // and what can, of a constant one

  // Of `seal` and `filters_are_in`.
  std::uint64_t present_break = 0;  // where the break is
  bool discard_as_kernel = false;   // DiscardRule::kernel

  // Of call_site alone.
  bool refused = false;
  std::uint64_t site = 0;    // the address that the call returns to
  std::uint32_t number = 0;  // of the system call
  std::uint32_t third = 0;   // its third argument: a protection, an advice, a size

  std::uint32_t count = 0;  // of `refusals` alone
};

// So many calls are refused just now that this one is only counted.
inline constexpr std::int64_t kTooMany = 1;

// How sealing goes on.
enum class Way : std::uint8_t {
  sealed = 0,      // every byte is sealed
  filter = 1,      // by a deny filter of the program
  supervised = 2,  // by the supervisor, which is notified of the calls there
  yourself = 3,    // the supervisor may not look: the program has to
  again = 4,       // threads stand still now: `seal` once more, with the break of this moment and no range
};

// What `seal` and `filters_are_in` are answered. The ticket is that of what the supervisor has found, which
// is in the table: the pieces to be filtered, or, with Way::sealed, the keys of what is sealed; 0 for
// nothing.
struct Next {
  Way way = Way::sealed;
  std::uint32_t ticket = 0;
};
constexpr std::int64_t encode(const Next& next) {
  return static_cast<std::int64_t>(std::uint64_t{next.ticket} << 8 | static_cast<std::uint64_t>(next.way));
}
constexpr Next decode_next(std::int64_t answer) {
  return {static_cast<Way>(answer & 0xFF),
          static_cast<std::uint32_t>(static_cast<std::uint64_t>(answer) >> 8)};
}

constexpr std::int64_t encode(const Sealed& sealed) {
  return std::int64_t{sealed.types.bits()} << 8 | static_cast<std::int64_t>(sealed.coverage);
}
constexpr Sealed decode_sealed(std::int64_t answer) {
  return {static_cast<Coverage>(answer & 0xFF), SealTypes::of_bits(static_cast<std::uint8_t>(answer >> 8))};
}

// What a message is answered. But for the descriptor of `hello` it is never 0: a filter of the program that
// pretends that calls succeed (SECCOMP_RET_ERRNO with errno 0) answers that, and nobody has heard the
// message.
constexpr std::int64_t encode_answer(std::int64_t answer) {
  return answer < 0 ? answer : answer + 1;
}
constexpr std::int64_t decode_answer(std::int64_t answer) {
  if (answer == 0) return -EPERM;
  return answer < 0 ? answer : answer - 1;
}

Arguments encode(const Control& message);

// As many of the ranges as one message can carry: those after the first as `more`. At least one.
std::size_t put_ranges(Control& message, std::span<const Range> ranges);

// Nothing if it is no control message, or a malformed one (then `malformed` is set).
std::optional<Control> decode_control(const Machine& machine, const Arguments& arguments, bool& malformed);

// The same message as arguments of mmap, and back; nothing if these are none.
Arguments wrap_in_mmap(const Arguments& message);
std::optional<Arguments> unwrap_from_mmap(const Arguments& arguments);

// Of errors that a wrapped message is answered, so that they are not taken for the kernel's or another
// filter's.
inline constexpr int kWrappedErrors = 1000;

// ---- the hand-over, on a socket pair, before the filter can notify anybody ----

// Why a supervisor is not ready.
enum class Trouble : std::uint32_t {
  none,
  not_run,         // execve failed
  no_table,        // the memory for the table could not be had
  few_files,       // it may open too few files to serve a tree
  no_proc,         // there is no procfs at /proc
  foreign_proc,    // that of another pid namespace is
  hidden_program,  // the program may not be looked at
  refused_call,    // a filter refuses a call without which no notification is answered
};

// Supervisor to shim, with the descriptor of the table if there is no trouble. The first two fields stay
// where they are in every version.
struct Ready {
  std::uint64_t magic = kControlMagic;
  std::uint32_t version = kLayoutVersion;
  Trouble trouble = Trouble::none;
  std::int32_t error = 0;  // of the trouble, as errno
  std::uint32_t reserved = 0;
};

// Shim to supervisor, with the listener. So many of struct Seal, of struct Range and bytes of MSEAL_OPTIONS
// follow.
struct Start {
  std::uint64_t magic = kControlMagic;
  std::uint32_t version = kLayoutVersion;
  std::uint32_t seals = 0;
  std::uint32_t filtered = 0;  // so many of them, the first ones, are refused by the first filter itself
  std::uint32_t watched = 0;
  std::uint32_t options = 0;
  std::uint16_t is_late = 0;    // 1: the program has run before, and may have made rings of io_setup
  std::uint16_t may_adopt = 0;  // 1: others' children may become those of the program
  Range arena;                  // empty if there is none
};

// Supervisor to shim: it serves from now on, unless `result` is not 0 (-errno).
struct Serving {
  std::int32_t result = 0;
  std::int32_t log = 0;     // errno of opening the log file; 0: it is open, or there is none
  std::int32_t events = 0;  // the same of the file of events
  std::uint32_t reserved = 0;
};

}  // namespace libmseal::policy
