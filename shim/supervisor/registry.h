// Who has sealed what: the one place that tells for which process a caller counts.
//
// Seals belong to a process and to what it forks afterwards. Processes do not tell of their forks, and
// nothing that /proc shows of a parent is lineage (CLONE_PARENT, subreapers, dead parents). So a process that
// is met for the first time gets every seal that it might have been born with: of each process of the same
// executed image those that were made before it was born and whose filters it has. A process that can't be
// told from others gets the seals of all of them: so does a fork whose memory does not show, as of a process
// that has changed its user. One that can't be looked at has those of everybody. Only a process that is
// proved to run another image has none: other memory shows, or an execve that was not that of any image.
#pragma once

#include <sys/types.h>

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/configuration/tree_rules.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/supervisor/proc.h"
#include "shim/supervisor/record.h"
#include "shim/supervisor/table_file.h"

namespace libmseal::supervisor {

// The memory of an executed image, recognised by addresses that execve sets: equal in forked children,
// changed by prctl(PR_SET_MM) alone, which is blocked. After execve they are others, unless addresses are not
// randomised.
struct MmIdentity {
  std::uint64_t start_code = 0;
  std::uint64_t start_stack = 0;
  std::uint64_t start_brk = 0;
  std::uint64_t arg_start = 0;
  std::uint64_t env_start = 0;

  static MmIdentity of(const policy::StatLine& stat) {
    return {stat.start_code, stat.start_stack, stat.start_brk, stat.arg_start, stat.env_start};
  }
  bool operator==(const MmIdentity&) const = default;
  // The kernel shows zeros of a process that may not be looked at, and of a task that has no memory any more.
  [[nodiscard]] bool readable() const { return start_stack != 0; }
};

struct Member {
  std::unique_ptr<HeldTask> task;  // null if it could not be held
  std::shared_ptr<Record> record;  // the same object for all that have one memory
  // Its memory could not be read when it was met.
  bool met_hidden = false;
  // It called execve, and a child with the same memory sealed first.
  bool executed_it = false;
  std::unique_ptr<HeldMemory> memory;  // of one that did; null if it could not be held
};

// One executed image and its forks.
struct Image {
  MmIdentity identity;
  Process creator;                     // the process that called execve to become this image, or was first
  std::unique_ptr<HeldMemory> memory;  // the creator's; null if it could not be held
  std::unique_ptr<TableFile> table;
  std::map<Process, Member> members;           // the processes that have been met
  std::vector<std::shared_ptr<Record>> ended;  // of members that are none any more, for children not yet met
  shim::Births met;                            // whoever was born before that is a member
};

// For whom a call counts. Looked up once for each notification.
struct Caller {
  enum class Standing : std::uint8_t {
    member,   // of `image`
    foreign,  // proved to run another image: nothing of it is sealed
    unknown,  // it could not be found out: everything may be
  };

  Standing standing = Standing::unknown;
  pid_t task = 0;
  Process process;
  MmIdentity identity;
  bool forked = false;             // it has not called execve since it was forked
  Image* image = nullptr;          // of a member
  std::shared_ptr<Record> record;  // never null but for a foreign one
  // Its memory does not show, and may be of no image at all, so that it is foreign once that shows: it has
  // what it may have inherited, and seals nothing.
  bool hidden = false;

  [[nodiscard]] bool may_seal() const { return standing == Standing::member && !hidden; }
  [[nodiscard]] bool foreign() const { return standing == Standing::foreign; }
};

class Registry {
 public:
  Registry(Proc& proc, const policy::Range& arena, const policy::TreeRules& rules);

  [[nodiscard]] Caller look_up(pid_t task);

  // An image of its own for a foreign caller, which is a member afterwards. The filters of earlier images
  // that it may have become the table's fences. Throws if there is no room for it.
  void make_image(Caller& caller, std::unique_ptr<TableFile> table);

  // Where deny filters of earlier images may still refuse in the process.
  [[nodiscard]] std::vector<policy::Range> inherited_filters(const Process& process);

  // The caller, a member, is about to seal something. Its children of now are met, so that the seal is not
  // taken for theirs; whoever is born from now on may have it. Whether others have its memory: they get its
  // record.
  shim::Sharing begin_sealing(const Caller& caller);
  shim::Sharing sharers(const Caller& caller);
  // Nobody had the caller's memory at `since` (sharers.h).
  static void note_alone(const Caller& caller, const shim::Births& since);
  [[nodiscard]] bool has_first_filter(const Process& process, pid_t task) const;
  // Those that have been met.
  [[nodiscard]] std::vector<pid_t> processes_with(const Record& record) const;

  // Puts a seal in force, as made when the caller began: 0 or -errno.
  // `from_start`: by the first filter of the tree, which everybody has.
  long add(const Caller& caller, const policy::Seal& seal, bool filtered, bool from_start = false);

  // Called now and then: forgets processes that have ended and images that no process belongs to any more, if
  // that is proved. True if it did.
  bool collect();
  // The same at once, for a resource has run out.
  bool collect_now();

 private:
  struct Identified;

  [[nodiscard]] Look<Identified> identify(pid_t task);
  [[nodiscard]] const HeldTask* held_leader(pid_t task) const;
  // The member, if it is sure that the process is that one; else null.
  [[nodiscard]] static const Member* held_member(const Image& image, const Process& process);
  [[nodiscard]] Birth birth_of(const Process& process);
  [[nodiscard]] std::shared_ptr<Record> fresh_record() const;
  [[nodiscard]] std::shared_ptr<Record> seals_of_everybody() const;
  [[nodiscard]] std::shared_ptr<Record> seals_of_newcomer(const std::vector<Image*>& candidates,
                                                          const Process& process);
  [[nodiscard]] bool may_have_left(const Identified& who, const Image& image, const Member& member) const;
  // Makes members of all that were born before now.
  void register_children(Image& image);
  // Makes it a member if it is one and has not been met.
  void meet(Image& image, const Identified& who);
  [[nodiscard]] std::vector<Image*> images_of(const Identified& who);
  Member& join(Image& image, const Process& process, std::shared_ptr<Record> record);
  Member& join_newcomer(Image& image, const Identified& who, pid_t task,
                        const std::vector<Image*>& candidates);
  void forget_guesses(const Process& process, const std::vector<Image*>& candidates);
  [[nodiscard]] std::shared_ptr<Record> record_of_memory(const std::vector<Image*>& candidates, pid_t task);
  [[nodiscard]] std::unique_ptr<HeldMemory> hold_memory(pid_t task);
  void note_executed(Image& image, const Process& process, const Caller& caller);
  [[nodiscard]] Look<std::optional<Identified>> known_by_thread(pid_t process);
  [[nodiscard]] Look<std::vector<Identified>> everybody();
  [[nodiscard]] bool add_identified(pid_t process, std::vector<Identified>& alive);
  static void retire(Image& image, const std::shared_ptr<Record>& record);
  void keep_filters(const Image& image);
  void forget_ended(Image& image, const std::vector<Identified>& alive);

  Proc& proc_;
  policy::Range arena_;
  policy::TreeRules rules_;
  std::uint64_t filtered_since_;       // the first filter was there then, in ns since boot
  std::uint32_t first_filters_ = ~0U;  // so many filters the first process had with it; ~0: not known
  std::list<Image> images_;
  std::vector<SealEntry> retired_filters_;  // of forgotten images, as long as they may be in force somewhere
  std::size_t made_since_collection_ = 0;   // images and members
};

}  // namespace libmseal::supervisor
