// Who has sealed what: the one place that decides which process's seals apply to a caller.
//
// Seals belong to a process and to what it forks afterwards. Forks are not reported. So a process that is met
// for the first time gets every seal that it may have been born with: of its parent, if it was certainly
// copied from that one (lineage.h), else of each process of the same executed image, those that were made
// before its birth and whose filters it has. If several images are possible, as for a process
// whose memory can't be seen because it has changed its user, it gets the seals of all of them. A process
// that can't be looked at has the seals of everybody. Only one that is proved to run another image has none:
// its memory is another, or it has called an execve that was not that of any image.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "policy/configuration/tree_rules.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/supervisor/all_seals.h"
#include "shim/supervisor/caller.h"
#include "shim/supervisor/collection_times.h"
#include "shim/supervisor/first_filter.h"
#include "shim/supervisor/identification.h"
#include "shim/supervisor/image.h"
#include "shim/supervisor/inherited_filters.h"
#include "shim/supervisor/newcomers.h"
#include "shim/supervisor/proc.h"
#include "shim/supervisor/record.h"

namespace libmseal::supervisor {

class Registry {
 public:
  Registry(Proc& proc, const policy::Range& arena, const policy::TreeRules& rules);

  // Where the first filter refuses every change.
  [[nodiscard]] const policy::Range& arena() const { return arena_; }

  [[nodiscard]] Caller look_up(pid_t task);

  // Makes an image for a foreign caller, which is its member afterwards. Filters of earlier images that may
  // still be in force become the table's fences. Throws if there is no room for it.
  void make_image(Caller& caller, std::unique_ptr<TableFile> table);
  // The task is about to make a child of its parent, or to adopt others' children.
  void note_lineage(pid_t task, bool makes_sibling);
  // The tree's first process adopts others' children.
  void note_adopter(const Process& process) { newcomers_.lineage().note_adopter(process); }
  // Calls of clone do not show whose children they make.
  void note_unknown_lineage() { newcomers_.lineage().note_unknown(); }
  // The tree's first process has run before it had the first filter.
  void note_late_start(const Process& process) {
    first_filter_.note_late_start(process);
    note_unknown_lineage();  // those that it had made may adopt, too
  }

  // The caller, a member, has just started, or has called execve and looks the same as before.
  void greet(const Caller& caller);

  // Where deny filters of earlier images may still refuse in the process, sorted and apart.
  [[nodiscard]] std::vector<policy::Range> inherited_filters(const Caller& caller) const {
    return inherited_filters_.of(caller);
  }

  // The caller, a member, is about to seal something. The children that it has now are met first, so that
  // they don't get the seal; those born later may have it.
  void begin_sealing(const Caller& caller);
  // Whether others have its memory: they get its record.
  shim::Sharing sharers(const Caller& caller);
  // Whether it had its memory to itself when that was last looked for.
  [[nodiscard]] static bool was_alone(const Caller& caller) {
    const Alone& alone = caller.record->alone;
    return alone.still && alone.process == caller.process;
  }
  // Nobody else had the caller's memory at `since` (sharers.h).
  static void note_alone(const Caller& caller, const shim::Births& since);
  // Those that have been met.
  [[nodiscard]] std::vector<pid_t> processes_with(const Record& record) const;

  // What anybody has sealed, sorted and apart; empty if that is too much to be kept.
  [[nodiscard]] std::span<const policy::Seal> all_seals() const { return all_seals_.seals(); }

  // How seals are known.
  enum class Source : std::uint8_t {
    looked,      // the supervisor has looked
    told,        // by the process itself
    from_start,  // they are those of the first filter of the tree, which everybody has
  };
  // Puts seals in force, as made when the caller began: 0 or -errno.
  long add(const Caller& caller, std::span<const policy::Seal> seals, bool filtered,
           Source source = Source::looked);
  long add(const Caller& caller, const policy::Seal& seal, bool filtered) {
    return add(caller, {&seal, 1}, filtered);
  }

  // Called now and then: forgets processes that have ended, and images that are proved to have no process any
  // more. True if it did. It looks at every process, so it is best done when nobody waits.
  bool collect(bool idle = false);
  [[nodiscard]] bool wants_to_collect() const { return times_.is_due(true); }
  // The same at once, for a resource has run out.
  bool collect_now();

 private:
  [[nodiscard]] bool may_have_left(const Identified& who, const Image& image, const Member& member) const;
  [[nodiscard]] std::unique_ptr<HeldMemory> hold_memory(const Process& process, const Caller& caller);
  void note_executed(Image& image, const Process& process, const Caller& caller);
  void note_asked(const Caller& caller);
  [[nodiscard]] static bool may_have_filtered(const Caller& caller, std::uint32_t filters);
  static void retire(Image& image, const std::shared_ptr<Record>& record);

  Proc& proc_;
  policy::Range arena_;
  policy::TreeRules rules_;
  FirstFilter first_filter_;
  std::list<Image> images_;
  CollectionTimes times_;
  Identification identification_{proc_, images_};
  Newcomers newcomers_{proc_, images_, identification_, times_, arena_};
  InheritedFilters inherited_filters_{proc_, images_};
  AllSeals all_seals_;
};

}  // namespace libmseal::supervisor
