// What the shim and the supervisor say to each other.
//
// Once the base filter is in, the channel is the system call mseal itself with a magic fourth argument: the
// kernel tells the supervisor which process speaks, the arguments are registers, and the flags are never
// zero, so that a kernel with mseal(2) and no supervisor answers EINVAL. A message can add seals and never
// removes one: a forged message can only make its sender stricter with itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "policy/layout.h"
#include "policy/mm_call.h"
#include "policy/seal.h"

namespace libmseal::policy {

inline constexpr std::uint64_t kControlMagic = 0x6C69626D7365616CULL;

struct Control {
  enum class Kind : std::uint8_t {
    hello = 1,           // this image wants seals. Answer: a descriptor of its table
    prepare = 2,         // may `seal.range` be sealed, and how? Answer: a Way
    filters_are_in = 3,  // nobody may share the memory without them. Answer: 0
    add_supervised = 4,  // the supervisor refuses from now on. Answer: 0
    add_filtered = 5,    // a deny filter refuses already; the supervisor decides what is deferred. Answer: 0
    query = 6,           // how much of `seal.range` has the process sealed? Answer: a Coverage
    call_site = 7,       // where in the program a call comes from, that is about to be made or was refused
  };

  Kind kind = Kind::hello;
  Seal seal;  // of most kinds the range alone; of call_site it may be anything

  // Of call_site alone.
  bool refused = false;
  std::uint64_t site = 0;    // the address that the call returns to
  std::uint64_t number = 0;  // of the system call
};

// How the shim seals a range, as the supervisor answers `prepare`.
enum class Way : std::uint8_t {
  filter = 0,      // by a deny filter
  supervised = 1,  // by the supervisor, which is notified of the calls there
  sealed = 2,      // every byte is sealed already
};

Arguments encode(const Control& message);

// Nothing if it is no control message, or a malformed one (then `malformed` is set).
std::optional<Control> decode_control(const Machine& machine, const Arguments& arguments, bool& malformed);

// ---- the hand-over, on a socket pair, before the filter can notify anybody ----

inline constexpr std::uint32_t kMostInitialSeals = 2048;

// Why a supervisor is not ready.
enum class Trouble : std::uint32_t {
  none,
  not_run,         // execve failed
  no_table,        // the memory for the table could not be had
  few_files,       // it may open too few files to serve a tree
  no_proc,         // there is no procfs at /proc
  foreign_proc,    // that of another pid namespace is
  hidden_program,  // the program may not be looked at
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
  std::uint32_t reserved = 0;
  Range arena;  // empty if there is none
};

// Supervisor to shim: it serves from now on, unless `result` is not 0 (-errno).
struct Serving {
  std::int32_t result = 0;
  std::int32_t log = 0;     // errno of opening the log file; 0: it is open, or there is none
  std::int32_t events = 0;  // the same of the file of events
  std::uint32_t reserved = 0;
};

}  // namespace libmseal::policy
