// The seal table of an image, in a memfd that the supervisor writes and the sealed program can only read
// (F_SEAL_FUTURE_WRITE). It uses Boost.Interprocess containers, so each side can map it at any address.
#pragma once

#include <atomic>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <boost/interprocess/segment_manager.hpp>
#include <boost/interprocess/sync/null_mutex.hpp>
#include <cstdint>

#include "policy/configuration/tree_options.h"
#include "policy/protocol/layout.h"
#include "policy/rules/protection_key.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/table_size.h"

namespace libmseal::shim {

// The table needs no locks: there is one writer, and readers retry (see SealTable::generation). Boost's own
// null_mutex_family has a static initializer that reads the number of processors at every program start.
struct NoLocks {
  using mutex_type = boost::interprocess::null_mutex;
  using recursive_mutex_type = boost::interprocess::null_mutex;
};
using TableMemory = boost::interprocess::segment_manager<char, boost::interprocess::rbtree_best_fit<NoLocks>,
                                                         boost::interprocess::iset_index>;
template <class T>
using TableVector = boost::interprocess::vector<T, boost::interprocess::allocator<T, TableMemory>>;

struct SealTable {
  explicit SealTable(TableMemory* memory)
      : seals(memory), fences(memory), pieces(memory), keyed(memory), policy(memory), complaints(memory) {}

  // Odd during a write, which may also move the storage of a vector.
  std::atomic<std::uint32_t> generation = 0;
  TableVector<policy::Seal> seals;    // sorted, disjoint
  TableVector<policy::Range> fences;  // where inherited deny filters of earlier images still refuse changes

  // The mappings that the supervisor has found for a seal request. Only for the process that got the ticket.
  std::uint32_t ticket = 0;
  TableVector<policy::Seal> pieces;  // sorted, disjoint
  TableVector<policy::KeyedRange> keyed;
  policy::Range refused_breaks;  // the arguments of brk that would unmap one of them

  policy::TreeOptions tree_options;  // of the tree
  // The options that the policy files give this image, in the form of MSEAL_OPTIONS; set once.
  TableVector<char> policy;
  TableVector<char> complaints;  // mistakes in the policy files, one line each
};

inline constexpr std::uint64_t kTableMagic = 0x6D7365616C746162ULL;

// At the beginning of the memfd; the containers' memory begins at kTableHeader. Magic and version have the
// same place in every version.
struct TableRoot {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t size = 0;  // of SealTable, which depends on the Boost version
  boost::interprocess::offset_ptr<SealTable> table;
  policy::Range sealed_area;  // of the tree: readers map the table there
};

// Whether this build can read the table.
inline bool is_readable(const TableRoot& root) {
  return root.magic == kTableMagic && root.version == policy::kLayoutVersion &&
         root.size == sizeof(SealTable);
}

inline constexpr std::size_t kTableHeader = 64;

}  // namespace libmseal::shim
