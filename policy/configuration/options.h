// The options in MSEAL_OPTIONS.
#pragma once

#include <cstdint>
#include <string_view>

#include "policy/parsers/text.h"
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

constexpr bool uses_filters(Backend backend) {
  return backend == Backend::filters || backend == Backend::supervised;
}

// Calls that are blocked in a sealed process because no filter can decide them. open= allows each again.
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

// Calls that write sealed memory without changing a mapping. mseal(2) does not refuse them; harden= does.
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
  elf,     // everything in objects that is not writable
  data,    // also static data: its place and protection, not its contents
};

// Which objects are sealed when dlopen loads them.
enum class LateSeal : std::uint8_t {
  nodelete,  // those that are marked as never unloaded
  off,
  all,  // dlclose then leaves them mapped
};

struct Options {
  Backend backend = Backend::automatic;
  Backend require = Backend::automatic;  // a weaker backend ends the program; automatic: no requirement
  AutoSeal auto_seal = AutoSeal::off;    // entry.cpp sets the real default
  LateSeal late_seal = LateSeal::nodelete;
  bool vdso = false;         // also seal vdso and vvar
  bool covers_all = false;   // coverage=all: the supervisor is notified of every memory call
  bool audit = false;        // refuse nothing, record what enforce would refuse
  bool one_process = false;  // scope=process: do not seal programs started by a sealed program
  bool strict = false;       // a bad option ends the program
  bool verbose = false;      // print which backend was chosen, and why
  DiscardRule discard = DiscardRule::strict;
  bool discard_given = false;      // `discard` was set explicitly, so the backend must follow it
  bool sealable_required = false;  // a program may seal only memory mapped with MAP_SEALABLE
  std::uint16_t open_calls = 0;    // BlockedCall bits
  std::uint16_t harden = 0;        // Hardening bits
  std::string_view log;            // the supervisor's log: a file, "stderr", "syslog" or empty: syslog
  std::string_view events;         // a file for refusals as JSON lines; empty: none
  std::string_view skip;           // objects that are not sealed: patterns as for look_up()
  std::string_view mutable_data;   // objects whose static data is left out of auto=data: patterns as `skip`
  std::string_view policy;      // a policy file that overrides the system's and the user's; "none": no file
  std::string_view supervisor;  // the supervisor program; empty: beside libmseal.so, then libexec

  // Set explicitly, not by default.
  [[nodiscard]] bool asks_for_strict_discard() const {
    return discard_given && discard == DiscardRule::strict;
  }
};

// The option because of which the program must not start unsealed, as "key=" and its value; empty if there is
// none.
struct BindingOption {
  std::string_view key;
  std::string_view value;
};
BindingOption binding_option(const Options& options);

// A mistake in the text. `allowed` is a list for messages.
struct OptionError {
  std::string_view key;
  std::string_view value;
  std::string_view allowed;
  bool is_unknown_key = false;
};

// One "key=value". False, with a reason in `error` and nothing changed, if it is wrong.
bool parse_option(std::string_view item, Options& options, OptionError& error);

// Reads "key=value,key=value". Mistakes are reported and keep their defaults; the rest applies. The views in
// `options` point into `text`.
template <class Report>
void parse_options(std::string_view text, Options& options, Report report) {
  while (!text.empty()) {
    const std::string_view item = take_until(text, ',');
    OptionError error;
    if (!item.empty() && !parse_option(item, options, error)) report(error);
  }
}
// The same where mistakes are reported elsewhere.
inline void parse_options(std::string_view text, Options& options) {
  parse_options(text, options, [](const OptionError&) {});
}

}  // namespace libmseal::policy
