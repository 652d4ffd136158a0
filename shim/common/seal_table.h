// The table of an image's seals, in memory that the supervisor writes and the sealed program can only read: a
// memfd with F_SEAL_FUTURE_WRITE. Boost.Interprocess containers, so that both sides may map it anywhere.
#pragma once

#include <array>
#include <atomic>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <boost/interprocess/segment_manager.hpp>
#include <boost/interprocess/sync/null_mutex.hpp>
#include <cstdint>

#include "policy/configuration/tree_rules.h"
#include "policy/protocol/layout.h"
#include "policy/rules/protection_key.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/table_size.h"

namespace libmseal::shim {

// No locks in the memory: there is one writer, and readers retry (see SealTable::generation). Boost's own
// null_mutex_family comes with an initializer that asks for the number of processors, at the start of every
// program.
struct NoLocks {
  using mutex_type = boost::interprocess::null_mutex;
  using recursive_mutex_type = boost::interprocess::null_mutex;
};
using TableMemory = boost::interprocess::segment_manager<char, boost::interprocess::rbtree_best_fit<NoLocks>,
                                                         boost::interprocess::iset_index>;
template <class T>
using TableVector = boost::interprocess::vector<T, boost::interprocess::allocator<T, TableMemory>>;

struct SealTable {
  explicit SealTable(TableMemory* memory) : seals(memory), fences(memory), pieces(memory), keyed(memory) {}

  // Odd while the writer is at work. The vectors' storage is reserved at once and never moves.
  std::atomic<std::uint32_t> generation = 0;
  TableVector<policy::Seal> seals;    // sorted, apart
  TableVector<policy::Range> fences;  // where deny filters of earlier images still refuse

  // What the supervisor has found of memory that a process of the image wants to have sealed: for that
  // process alone, which was told the ticket.
  std::uint32_t ticket = 0;
  TableVector<policy::Seal> pieces;  // sorted, apart
  TableVector<policy::KeyedRange> keyed;
  policy::Range refused_breaks;  // the arguments of brk that would unmap one of them

  policy::TreeRules rules;  // of the tree
  // What the policy files say about this image, as text of MSEAL_OPTIONS; set once. Ends with a zero. The
  // memory is zero from the start, and most of it is never written: every page of it is one more for each
  // image.
  std::array<char, kPolicyTextBytes> policy;
  // What is wrong with them, a line each, for whoever starts the tree.
  std::array<char, kPolicyTextBytes> complaints;
};

inline constexpr std::uint64_t kTableMagic = 0x6D7365616C746162ULL;

// At the start of the memory; the containers' memory begins kTableHeader bytes on. Magic and version stay
// where they are in every version.
struct TableRoot {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t size = 0;  // of SealTable, which depends on the Boost that it was built with
  boost::interprocess::offset_ptr<SealTable> table;
  policy::Range arena;  // of the tree: readers map the table in there
};

// Whether this build can read the table in that memory.
inline bool is_readable(const TableRoot& root) {
  return root.magic == kTableMagic && root.version == policy::kLayoutVersion &&
         root.size == sizeof(SealTable);
}

inline constexpr std::size_t kTableHeader = 64;

}  // namespace libmseal::shim
