// What the library remembers: its options, the backend that enforces, and the seals that nobody else keeps.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <string_view>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_rules.h"
#include "policy/rules/abi.h"
#include "policy/rules/protection_key.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/births.h"
#include "shim/common/table_size.h"
#include "shim/preload/ledger.h"

namespace libmseal::shim {

// Where mappings are sealed from birth (arena.h); empty where there is no such place.
struct Arena {
  std::array<policy::Range, 3> windows{};
  std::array<std::atomic<std::uint64_t>, 3> next{};
};

struct State {
  policy::Machine machine{};
  std::array<char, 2048> option_text{};  // a copy: the environment belongs to the program
  policy::Options options;
  std::array<char, kPolicyTextBytes> policy_text{};  // what the policy files say, as such options
  policy::Options policy_options;                    // their own view; the objects that they name are weaker
  std::array<std::array<char, 4096>, 3> policies{};  // paths of those files, the weakest first
  std::size_t policy_count = 0;
  std::array<char, 4096> supervisor_path{};
  std::string_view own_path;   // of this object; empty if it is not known
  bool precedes_libc = false;  // not so if it was loaded after libc, by dlopen for one
  bool preloaded = false;      // by LD_PRELOAD or /etc/ld.so.preload, not merely linked
  std::string_view barred;     // why neither mseal(2) nor seccomp(2) may be called; empty if both may be
  [[nodiscard]] bool is_barred() const { return !barred.empty(); }

  std::atomic<unsigned long long> objects_seen = 0;  // as many had been loaded when they were last looked at
  policy::Backend backend = policy::Backend::automatic;  // automatic: not started yet
  bool started_late = false;                             // by a call of the program, not at its start
  const void* table = nullptr;                           // the supervisor's table, where there is one
  bool joined = false;                                   // the supervisor was there before this image
  policy::TreeRules rules;                               // of the tree
  Arena arena;
  std::atomic<std::uint64_t> filtered_ranges = 0;  // see starts.h
  std::atomic<std::uint64_t> filtered_bytes = 0;
  Births alone_since;                // nobody shared this memory then
  long alone = 0;                    // but this process; others may have it since, and ask for themselves
  SealLedger* ledger = nullptr;      // what this process has sealed by itself
  KeyLedger* keyed_seals = nullptr;  // sealed memory with a protection key
};

extern State g_state;

// The same, once the library has started, which this does if it has not: constructors of other objects run
// before its own.
State& started();

}  // namespace libmseal::shim
