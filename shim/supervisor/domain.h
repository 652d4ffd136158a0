// The sealed images: what each of them has sealed, in a table that it can read.
#pragma once

#include <sys/types.h>

#include <list>
#include <set>
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

 private:
  template <class Change>
  bool change(Change change);

  int descriptor_ = -1;
  void* memory_ = nullptr;
  shim::SealTable* table_ = nullptr;
};

// One executed image and its forks.
struct Domain {
  MmIdentity identity;
  std::unique_ptr<TableFile> table;
  std::set<pid_t> members;              // thread groups that have spoken, the first one included
  std::vector<policy::Range> filtered;  // where deny filters of this image refuse
  bool shares_memory = false;           // with a process outside its thread groups, by clone(CLONE_VM)
};

class Domains {
 public:
  // The domain of that memory, or null.
  Domain* find(const MmIdentity& identity);
  // The domain of that memory, made if there is none: then the filters of the image that it came from, which
  // it has inherited, become its fences.
  Domain& find_or_make(const MmIdentity& identity, pid_t process);
  Domain& adopt(const MmIdentity& identity, pid_t process, std::unique_ptr<TableFile> table);

  // Forgets domains that no process belongs to any more. Too early would be unsafe: while a process of the
  // tree can't be looked at, nothing is forgotten.
  void collect();

  // Whether a process other than `process` has this memory, or might.
  [[nodiscard]] static bool has_others(const Domain& domain, pid_t process);

 private:
  Domain* ancestor_of(pid_t process);

  std::list<Domain> domains_;
  std::size_t made_since_collection_ = 0;
};

}  // namespace libmseal::supervisor
