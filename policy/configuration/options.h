// MSEAL_OPTIONS: what the user may choose.
#pragma once

#include <cstdint>
#include <string_view>

#include "policy/rules/seal.h"

namespace libmseal::policy {

enum class Backend : std::uint8_t {
  automatic,
  libc,        // interposed functions alone: raw system calls pass
  filters,     // deny filters alone: no supervisor
  supervised,  // filters and a supervisor
  kernel,      // mseal(2)
};

std::string_view name_of(Backend backend);

// Every key that parse_option() knows, for people.
std::string_view option_keys();

// Entries that a sealed process loses because no filter can judge them; an option opens each again.
enum BlockedCall : std::uint16_t {
  kBlockedIoUring = 1 << 0,
  kBlockedProcessMadvise = 1 << 1,
  kBlockedPrctlMm = 1 << 2,
  kBlockedTaggedAddresses = 1 << 3,
  kBlockedClone3 = 1 << 4,
  kBlockedHugetlbFiles = 1 << 5,
  kBlockedShmRemap = 1 << 6,
  kBlockedOldMmap = 1 << 7,
  kBlockedUselib = 1 << 8,
  kBlockedIoDestroy = 1 << 9,
  kBlockedShadowStack = 1 << 10,
};

// Calls that write sealed memory without changing a mapping. mseal(2) does not refuse them; an option does.
enum Hardening : std::uint8_t {
  kHardenPtrace = 1 << 0,
  kHardenProcessVmWritev = 1 << 1,
  kHardenUserfaultfd = 1 << 2,
  kHardenProcMem = 1 << 3,
};

// What is sealed at start.
enum class AutoSeal : std::uint8_t {
  off,
  marked,  // objects that ask for it by GNU_PROPERTY_MEMORY_SEAL
  elf,     // what is not writable of every object
  data,    // static data too: it stays where it is and as it is protected
};

// Which objects that dlopen brings later are sealed, too.
enum class LateSeal : std::uint8_t {
  nodelete,  // those that say that they are never unloaded
  off,
  all,  // dlclose leaves them where they are
};

struct Options {
  Backend backend = Backend::automatic;
  Backend require = Backend::automatic;  // anything weaker ends the program; automatic: nothing is required
  AutoSeal auto_seal = AutoSeal::off;  // what of the objects that are loaded at start; entry.cpp knows better
  LateSeal late_seal = LateSeal::nodelete;
  bool vdso = false;         // the kernel's own pages in the process, too
  bool covers_all = false;   // every call is reported to the supervisor, not only those near the first seals
  bool audit = false;        // nothing is refused: what would have been is recorded
  bool one_process = false;  // programs started by a program under the library are left alone
  bool strict = false;       // a bad option ends the program
  bool verbose = false;      // say which backend was picked, and why
  DiscardRule discard = DiscardRule::strict;
  bool discard_given = false;      // the user has said so, so the backend must keep it
  bool sealable_required = false;  // a program may seal nothing but what MAP_SEALABLE has placed
  std::uint16_t open_calls = 0;    // BlockedCall bits
  std::uint16_t harden = 0;        // Hardening bits
  std::string_view log;            // the supervisor's log: a file, "stderr", "syslog" or empty: syslog
  std::string_view events;         // a file for refusals as JSON lines; empty: none
  std::string_view skip;           // objects left out: patterns as of look_up()
  std::string_view mutable_data;   // objects whose static data is left out of auto=data, as `skip`
  std::string_view policy;      // a policy file, stronger than those of system and user; "none": none of them
  std::string_view supervisor;  // the supervisor program; empty: beside libmseal.so, then libexec

  // Asked for in words, and not by default alone.
  [[nodiscard]] bool asks_for_strict_discard() const {
    return discard_given && discard == DiscardRule::strict;
  }
};

// One thing wrong with the text. `allowed` is a list for people.
struct OptionError {
  std::string_view key;
  std::string_view value;
  std::string_view allowed;
  bool is_unknown_key = false;
};

// Reads "key=value,key=value". What is wrong is reported and left at its default; the rest applies. The views
// in `options` point into `text`.
template <class Report>
void parse_options(std::string_view text, Options& options, Report report);

// One "key=value". True if it was understood; otherwise `error` says what is wrong and nothing is changed.
bool parse_option(std::string_view item, Options& options, OptionError& error);

template <class Report>
void parse_options(std::string_view text, Options& options, Report report) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view item = text;
    if (comma == std::string_view::npos) {
      text = {};
    } else {
      item.remove_suffix(item.size() - comma);
      text.remove_prefix(comma + 1);
    }
    OptionError error;
    if (!item.empty() && !parse_option(item, options, error)) report(error);
  }
}

}  // namespace libmseal::policy
