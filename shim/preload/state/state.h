// The state of the library: its options, its backend, and the seals that only the process itself knows.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <string_view>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_options.h"
#include "policy/rules/abi.h"
#include "policy/rules/protection_key.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/fork_sample.h"
#include "shim/common/table_size.h"
#include "shim/preload/state/local_seals.h"

namespace libmseal::shim {

// The windows of sealed_area.h; empty if they do not exist.
struct Windows {
  std::array<policy::Range, 3> ranges{};
  std::array<std::atomic<std::uint64_t>, 3> next{};
};

// What is known of seccomp filters from before the library started.
struct EarlierFilters {
  bool are_of_tree = false;           // so they answer mseal(2)
  bool kill_wrapped_message = false;  // a message to the supervisor by mmap (control.h)
};

struct OptionTexts {
  std::array<char, kOptionTextBytes> environment{};  // a copy, because that belongs to the program
  std::array<char, kOptionTextBytes> policy{};       // what the policy files say
};

struct State {
  policy::Machine machine{};
  policy::Options options;
  policy::Options policy_options;  // those of the policy files; `options` overrides their objects
  OptionTexts* texts = nullptr;    // what both refer to
  std::array<std::array<char, 4096>, 3> policies{};  // paths of the policy files, the weakest first
  std::size_t policy_count = 0;
  std::array<char, 4096> supervisor_path{};
  std::string_view library_path;  // of this object; empty if not known
  bool precedes_libc = false;     // false if it was loaded after libc, for example by dlopen
  std::string_view barred;        // why mseal(2) and seccomp(2) must not be called; empty: they may be
  [[nodiscard]] bool is_barred() const { return !barred.empty(); }
  EarlierFilters earlier_filters;

  std::atomic<unsigned long long> objects_seen = 0;      // the number of loaded objects at the last check
  policy::Backend backend = policy::Backend::automatic;  // automatic: not started yet
  bool is_not_audited = false;                           // an audit leaves this program out; `libc` then
  bool started_late = false;                             // by a call of the program, not at its start
  bool has_older_threads = false;                        // than the first filter of the tree
  bool objects_are_unsealed = false;                     // those that were loaded at the start
  bool leaves_fixed_objects = false;                     // objects at fixed addresses are not sealed
  // A process that has shared this memory since before the first filter lacks it. mseal searches for it each
  // time and fails while it exists; for PROT_SEAL mappings one search that finds none is enough.
  std::atomic<bool> may_be_shared = false;
  const void* table = nullptr;       // the seal table, if there is a supervisor
  bool joined = false;               // the supervisor existed before this image
  long announced_process = 0;        // the one that the supervisor has met; 0: none
  bool may_adopt = false;            // it may be the parent of others' children
  policy::TreeOptions tree_options;  // of the tree
  Windows windows;
  policy::Range refused_breaks;                    // the arguments of brk that filters refuse
  std::atomic<std::uint64_t> filtered_ranges = 0;  // see exec_layout.h
  std::atomic<std::uint64_t> filtered_bytes = 0;
  ForkSample alone_since;             // when no process but `alone_process` had this memory
  long alone_process = 0;             // the process that found that out; 0: none
  LocalSeals* local_seals = nullptr;  // see local_seals.h
  LocalKeys* keyed_seals = nullptr;   // sealed memory with a protection key
};

extern State g_state;

// Returns g_state after starting the library if necessary: constructors of other objects may run before its
// own.
State& started();

}  // namespace libmseal::shim
