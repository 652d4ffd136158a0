// A process tree whose supervisor looks at a /proc that is made up.
#pragma once

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <span>

#include "shim/supervisor/registry/registry.h"
#include "tests/supervisor/fake_proc.h"
#include "tests/support/catch.h"

namespace libmseal::tests {

using policy::Range;
using policy::Seal;
using shim::Sharing;
using supervisor::Caller;
using supervisor::Registry;
using supervisor::TableFile;
using Standing = Caller::Standing;
using Seals = std::set<int>;

inline constexpr Range kSealedArea{0x6000'0000'0000, 0x6000'1000'0000};
inline constexpr std::uint64_t kTick = 10'000'000;  // ns
inline constexpr int kMostSeals = 4000;

// The seal with this number.
inline Range place(int number) {
  return Range::of(0x1000'0000'0000 + static_cast<std::uint64_t>(number) * 0x10000, 0x1000);
}

inline Seals numbers_of(std::span<const Seal> seals) {
  Seals found;
  for (int number = 0; number < kMostSeals; ++number) {
    if (policy::touches_seal(seals, place(number))) found.insert(number);
  }
  return found;
}

inline Seals seals_in(const Caller& caller) {
  return caller.record == nullptr ? Seals{} : numbers_of(caller.record->seals());
}

inline Sharing begin_sealing(Registry& registry, const Caller& caller) {
  registry.begin_sealing(caller);
  registry.note_request(caller);
  registry.note_request(caller);
  return registry.register_sharers(caller);
}

inline long add(Registry& registry, const Caller& caller, const Seal& seal, bool filtered) {
  return registry.add(caller, {&seal, 1}, filtered);
}

// A process tree, and what its supervisor does for it (control_channel.cpp).
struct Tree {
  FakeProc proc;
  Registry registry{proc, kSealedArea, {}};

  void at_tick(std::uint64_t tick) { proc.clock = tick * kTick; }

  Caller join(pid_t process) {
    Caller caller = registry.look_up(process);
    if (caller.foreign() && caller.identity.readable())
      registry.make_image(caller, std::make_unique<TableFile>());
    else if (caller.standing == Standing::member)
      registry.note_join(caller);
    return caller;
  }
  // The supervisor refuses what touches it from now on.
  long seal(pid_t process, int number) {
    const Caller caller = registry.look_up(process);
    if (!caller.may_seal()) return -EPERM;
    if (begin_sealing(registry, caller) == Sharing::unknown) return -EAGAIN;
    return add(registry, caller, {place(number)}, false);
  }
  // A filter does, in every thread.
  long seal_by_filter(pid_t process, int number) {
    const Caller caller = registry.look_up(process);
    if (!caller.may_seal()) return -EPERM;
    registry.begin_sealing(caller);
    if (registry.register_sharers(caller) != Sharing::alone) return -EAGAIN;
    registry.note_request(caller);
    for (auto& [id, task] : proc.tasks) {
      if (task.leader == process && task.memory != nullptr) ++task.filters;
    }
    const Caller again = registry.look_up(process);
    if (!again.may_seal()) return -EPERM;
    return add(registry, again, {place(number)}, true);
  }
  Seals sealed(pid_t task) {
    const Caller caller = registry.look_up(task);
    CHECK(caller.standing == Standing::member);
    return seals_in(caller);
  }
};

// Process 100 at tick 1, which has sealed 1 by the supervisor at tick 5 and 2 by a filter at tick 6.
struct SealedTree : Tree {
  SealedTree() {
    at_tick(1);
    proc.first(100, 7, 1);
    REQUIRE(join(100).standing == Standing::member);
    at_tick(5);
    REQUIRE(seal(100, 1) == 0);
    at_tick(6);
    REQUIRE(seal_by_filter(100, 2) == 0);
    at_tick(10);
  }
  // Process 200, a child of 100, born at tick 11. It has sealed 3 by the supervisor.
  void add_child() {
    proc.fork(100, 200, 11);
    at_tick(11);
    REQUIRE(seal(200, 3) == 0);
  }
};

inline bool holds(const Seals& all, const Seals& some) {
  return std::ranges::includes(all, some);
}

}  // namespace libmseal::tests
