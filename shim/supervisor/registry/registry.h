// Which process has sealed what: decides which seals apply to a caller.
//
// Seals belong to a process and to its later forks. Forks are not reported. So a process that is seen for
// the first time gets every seal that it may have inherited: those of its parent, if that has certainly
// forked it (lineage.h), otherwise those of each process of the same image; of these, the ones that were made
// before its birth and whose filters it has. If several images are possible, for example because the process
// has changed its user and its memory can't be inspected, it gets the seals of all of them. A process that
// can't be inspected at all has the seals of all processes. It has no seals only if it is proved to run
// another image: its memory is different, or it has called an execve that did not create any known image.
//
//   fork                    a record of its own, which begins with the seals of the parent
//   vfork, clone(CLONE_VM)  the record of the process with which it shares the memory
//   execve                  no record; fences where filters of its ancestors still refuse
//   the end of a process    its record stays until those that it may have forked are registered
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "policy/configuration/tree_options.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/all_seals.h"
#include "shim/supervisor/registry/caller.h"
#include "shim/supervisor/registry/forgetting_times.h"
#include "shim/supervisor/registry/identification.h"
#include "shim/supervisor/registry/images.h"
#include "shim/supervisor/registry/inherited_filters.h"
#include "shim/supervisor/registry/lineage.h"
#include "shim/supervisor/registry/newcomers.h"
#include "shim/supervisor/registry/seal_record.h"

namespace libmseal::supervisor {

// Whether the caller is still the only thread of its process.
bool is_only_thread(Proc& proc, const Caller& caller);

class Registry {
 public:
  Registry(Proc& proc, const policy::Range& sealed_area, const policy::TreeOptions& tree_options);

  [[nodiscard]] Caller look_up(pid_t task);

  // Creates an image for a foreign caller, which becomes its member. Filters of earlier images that may still
  // be in force become the fences of the table. Throws if there is no room.
  void make_image(Caller& caller, std::unique_ptr<TableFile> table);
  // The task is about to create a child of its parent, or to become a subreaper.
  void note_lineage(pid_t task, bool makes_sibling);
  // The tree's first process is a subreaper.
  void note_subreaper(const Process& process) { lineage_.note_adopter(process); }
  // Calls of clone are not reported, so it is never known who forked a process.
  void note_unknown_lineage() { lineage_.note_unknown(); }
  void note_first(const FirstProcess& first) { first_ = first; }
  // The tree's first process ran before it had the first filter. Processes that it had created by then have
  // no filter and are not notified.
  void note_ran_before_filter(const Process& process) {
    early_process_ = process;
    note_unknown_lineage();  // processes that it had created may adopt, too
  }

  // Whether a process lives that has been seen, as far as is known.
  [[nodiscard]] bool has_live_member() const;

  // The caller, a member, has just started, or has called execve and looks the same as before.
  void note_join(const Caller& caller);

  // The caller, a member, is about to seal something. Its existing children are registered first, so that
  // they don't get the seal.
  void begin_sealing(const Caller& caller);
  // The caller is about to be asked to install a filter, which it has to report to add().
  void note_request(const Caller& caller);
  // Gives its record to the other processes that share its memory. The result says whether there are any.
  shim::Sharing register_sharers(const Caller& caller);
  // Only those that have been seen.
  [[nodiscard]] std::vector<pid_t> processes_with(const SealRecord& record) const;

  // The seals of all processes, sorted and disjoint; empty if there are too many.
  [[nodiscard]] std::span<const policy::Seal> all_seals() const { return all_seals_.seals(); }

  // Who has made a seal.
  enum class Maker : std::uint8_t {
    caller,
    first_filter,  // of the tree: every process has the seal
  };
  // Adds seals, dated to when the caller asked for them: 0 or -errno.
  long add(const Caller& caller, std::span<const policy::Seal> seals, bool filtered,
           Maker maker = Maker::caller);

  // To be called regularly: forgets processes that have ended and images without processes. True if it did.
  // It inspects every process, so it is best done when no call waits.
  bool forget_ended_if_due(bool idle = false);
  [[nodiscard]] bool wants_to_forget() const { return times_.is_due(true); }
  // The same at once, because a resource has run out.
  bool forget_ended_now();

 private:
  [[nodiscard]] bool has_first_filter(const Process& process, pid_t task) const;
  [[nodiscard]] bool may_have_left(const Identified& who, const Image& image, const Member& member) const;
  [[nodiscard]] std::unique_ptr<HeldMemory> hold_memory(const Process& process, const Caller& caller);
  void let_share(const Caller& caller, const Identified& who);
  void note_executed(Image& image, const Process& process, const Caller& caller);
  [[nodiscard]] static bool may_have_filtered(const Caller& caller, std::uint32_t filters);
  static void retire(Image& image, const std::shared_ptr<SealRecord>& record);
  // False, with nothing forgotten, if it can't be proved who has ended. Inspects every process.
  [[nodiscard]] bool forget_ended();
  void forget_images(const std::vector<Identified>& alive, const std::set<Process>& processes);

  Proc& proc_;
  policy::Range sealed_area_;  // see preload/memory/sealed_area.h
  policy::TreeOptions tree_options_;
  std::optional<Process> early_process_;  // note_ran_before_filter()
  FirstProcess first_;
  Images images_;
  ForgettingTimes times_;
  Identification identification_{proc_, images_};
  Lineage lineage_{proc_};
  Newcomers newcomers_{proc_, images_, identification_, lineage_, times_, sealed_area_};
  InheritedFilters inherited_filters_{proc_, lineage_, images_};
  AllSeals all_seals_;
};

}  // namespace libmseal::supervisor
