// The sealed images: what each of them has sealed, in a table that it can read.
#pragma once

#include <sys/types.h>

#include <list>
#include <map>
#include <span>
#include <vector>

#include "policy/range.h"
#include "policy/seal.h"
#include "shim/common/seal_table.h"
#include "shim/supervisor/process.h"

namespace libmseal::supervisor {

// A table in a memory file that others may map for reading only. Throws std::runtime_error if it can't be
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
  void set_arena(const policy::Range& arena);

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
};

// One executed image and its forks.
struct Domain {
  MmIdentity identity;
  std::unique_ptr<TableFile> table;
  std::map<Process, Member> members;    // the processes that have spoken
  std::vector<policy::Range> filtered;  // where deny filters of this image refuse
  bool shares_memory = false;           // with a process outside its thread groups, by clone(CLONE_VM)
};

class Domains {
 public:
  explicit Domains(const policy::Range& arena) : arena_(arena) {}

  // The domain of that memory, or null.
  Domain* find(const MmIdentity& identity);
  // The domain of that memory, made if there is none: then the filters of the image that it came from, which
  // it has inherited, become its fences.
  Domain& find_or_make(const MmIdentity& identity, const Process& process);
  Domain& adopt(const MmIdentity& identity, const Process& process, std::unique_ptr<TableFile> table);
  // Makes the process a member, if it is not one. Its mark.
  std::uint32_t join(Domain& domain, const Process& process);

  // Forgets processes that have ended, and domains that no process belongs to any more. Too early would be
  // unsafe: while a process of the tree can't be looked at, nothing is forgotten.
  void collect();

  // Whether a process other than `process` has this memory, or might.
  [[nodiscard]] static bool has_others(const Domain& domain, const Process& process);

 private:
  Domain* ancestor_of(const Process& process);

  policy::Range arena_;
  std::list<Domain> domains_;
  std::size_t made_since_collection_ = 0;
  std::uint32_t last_mark_ = 0;
};

}  // namespace libmseal::supervisor
