// The sealed images: what each of them has sealed, in a table that it can read.
#pragma once

#include <sys/types.h>

#include <list>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "policy/range.h"
#include "policy/seal.h"
#include "shim/common/seal_table.h"
#include "shim/supervisor/policy_levels.h"
#include "shim/supervisor/process.h"
#include "shim/supervisor/seal_set.h"

namespace libmseal::supervisor {

// A table in a memory file that others may map for reading only. Throws std::system_error if it can't be
// made.
class TableFile {
 public:
  TableFile();
  ~TableFile();
  TableFile(const TableFile&) = delete;
  TableFile& operator=(const TableFile&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] std::span<const policy::Seal> seals() const;
  [[nodiscard]] std::span<const policy::Range> fences() const;
  // False, and nothing added, when the table is full.
  bool add(const policy::Seal& seal);
  bool add_fence(const policy::Range& range);
  void set_tree(const policy::Range& arena, const policy::TreeRules& rules);
  void set_policy(std::string_view options, std::string_view complaints);

 private:
  template <class Change>
  bool change(Change change);

  int descriptor_ = -1;
  void* memory_ = nullptr;
  shim::SealTable* table_ = nullptr;
};

// What is known of a process of a domain.
struct Member {
  std::uint32_t mark = 0;  // as the owner of seals: never 0, and nobody else's
  std::uint64_t incarnation = 0;
  // Under coverage all: the seals of its memory, the same object for all that have that memory.
  std::shared_ptr<SealSet> seals;
};

// One executed image and its forks.
struct Domain {
  MmIdentity identity;
  Process creator;                      // the process that called execve to become this image, or was first
  std::unique_ptr<MemoryWatch> memory;  // the creator's
  std::unique_ptr<TableFile> table;
  std::map<Process, Member> members;    // the processes that have spoken
  std::vector<policy::Range> filtered;  // where deny filters of this image refuse
  bool shares_memory = false;           // with a process outside its thread groups, by clone(CLONE_VM)
  Births met;                           // up to here all of its processes are members
};

class Domains {
 public:
  // Where every call is reported, each member gets the seals that it was born with.
  Domains(const policy::Range& arena, const policy::TreeRules& rules, const PolicyLevels& policies)
      : arena_(arena), rules_(rules), policies_(policies) {}

  // The domain of that image, or null: then nothing of it is sealed.
  Domain* find(const Image& image);
  // The domain of that image, made if there is none: then the filters of the image that it came from, which
  // it has inherited, become its fences.
  Domain& find_or_make(const Image& image);
  Domain& adopt(const Image& image, std::unique_ptr<TableFile> table);
  // Makes the process a member, if it is not one.
  Member& join(Domain& domain, const Process& process);

  // Makes members of all processes that were born before now, so that what is sealed next is not taken for
  // theirs. One that is being born just now may get it all the same.
  void meet_newcomers(Domain& domain);

  // Now and then: forgets processes that have ended, and domains that no process belongs to any more. Too
  // early would be unsafe: while a process of the tree can't be looked at, nothing is forgotten. True if it
  // did.
  bool collect();

  // Whether a process other than `process` has this memory, or might.
  [[nodiscard]] bool has_others(const Domain& domain, const Process& process);

 private:
  Domain* ancestor_of(const Process& process);
  Domain& adopt_orphan(const Image& image, const std::vector<Domain*>& candidates);
  std::shared_ptr<SealSet> seals_of_newcomer(Domain& domain, const Process& process);
  void forget_dead_members(Domain& domain);

  policy::Range arena_;
  policy::TreeRules rules_;
  const PolicyLevels& policies_;
  // The process that was found to have its memory for itself, and when: an image seals many ranges in a row.
  Process alone_;
  Births alone_since_;
  std::list<Domain> domains_;
  std::size_t made_since_collection_ = 0;  // domains and members
  std::uint32_t last_mark_ = 0;
};

}  // namespace libmseal::supervisor
