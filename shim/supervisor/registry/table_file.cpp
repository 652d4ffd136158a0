#include "shim/supervisor/registry/table_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "shim/common/seal_table.h"
#include "shim/common/table_size.h"
#include "shim/supervisor/processes/descriptor_reserve.h"

namespace libmseal::supervisor {

using policy::Range;
using policy::Seal;
using shim::kSmallTableBytes;
using shim::kTableBytes;

namespace {

constexpr std::size_t kFew = 32;  // seals and fences of a small program

constexpr unsigned kFutureWrite = 0x0010;  // F_SEAL_FUTURE_WRITE, in the headers since glibc 2.31

}  // namespace

TableFile::TableFile() {
  const auto fail = [this](const char* what) {
    const int why = errno;
    release();
    throw std::system_error(why, std::generic_category(), what);
  };
  descriptor_ = memfd_create(shim::kTableName, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor_ < 0 || ftruncate(descriptor_, kTableBytes) != 0) fail("can't create a memfd");
  if (is_one_of_last(descriptor_, kKeptByTables)) {
    errno = ENFILE;
    fail("no descriptor is left for a table");
  }
  memory_ = mmap(nullptr, kTableBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (memory_ == MAP_FAILED) fail("no memory for a table");
  if (fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | kFutureWrite | F_SEAL_SEAL) != 0)
    fail("the table can't be made read-only");
  root_ = new (memory_) shim::TableRoot;
  auto* const memory = new (static_cast<char*>(memory_) + shim::kTableHeader)
      shim::TableMemory(kSmallTableBytes - shim::kTableHeader);
  table_ = memory->construct<shim::SealTable>(boost::interprocess::anonymous_instance)(memory);
  table_->seals.reserve(kFew);
  table_->fences.reserve(kFew);
  root_->table = table_;
  root_->version = policy::kLayoutVersion;
  root_->size = sizeof(shim::SealTable);
  root_->magic = shim::kTableMagic;
}

TableFile::~TableFile() {
  release();
}

void TableFile::release() {
  if (memory_ != nullptr && memory_ != MAP_FAILED) munmap(memory_, kTableBytes);
  if (descriptor_ >= 0) close(descriptor_);
}

// Makes room for `most` items in a vector that may soon have more than `count` of them. There is room for
// each vector to grow once, so nothing is thrown.
template <class Vector>
void TableFile::reserve(Vector& vector, std::size_t count, std::size_t most) {
  if (count <= vector.capacity()) return;
  shim::TableMemory& memory = *vector.get_stored_allocator().get_segment_manager();
  if (memory.get_size() < kSmallTableBytes) memory.grow(kTableBytes - kSmallTableBytes);
  vector.reserve(most);
}

// `change` can't throw, because there is room.
template <class Change>
void TableFile::change(Change change) noexcept {  // NOLINT(bugprone-exception-escape): there is room
  table_->generation.fetch_add(1, std::memory_order_acq_rel);
  std::atomic_thread_fence(std::memory_order_release);  // readers see that before any of the changes
  change();
  table_->generation.fetch_add(1, std::memory_order_release);
}

void TableFile::add(const Seal& seal) noexcept {  // NOLINT(bugprone-exception-escape): there is room
  const bool is_full = !table_->seals.empty() && table_->seals.front().range == shim::kEverything;
  if (is_full) return;
  change([&] {
    reserve(table_->seals, 2 * table_->seals.size() + 3, shim::kMostSeals);  // what add_seal may need
    if (policy::add_seal(table_->seals, seal, shim::kMostSeals)) return;
    table_->seals.clear();
    table_->seals.push_back({shim::kEverything, true});
  });
}

// NOLINTNEXTLINE(bugprone-exception-escape): there is room
void TableFile::add_fences(std::span<const Fence> fences) noexcept {
  const std::size_t added = std::min(shim::kMostFences - table_->fences.size(), fences.size());
  change([&] {
    reserve(table_->fences, table_->fences.size() + added, shim::kMostFences);
    for (const Fence& fence : fences.first(added)) table_->fences.push_back(fence.range);
  });
}

std::uint32_t TableFile::put(std::span<const Seal> pieces, std::span<const policy::KeyedRange> keyed,
                             const Range& refused_breaks) {
  if (pieces.size() > shim::kMostPieces || keyed.size() > shim::kMostKeyed) return 0;
  change([&] {
    reserve(table_->pieces, pieces.size(), shim::kMostPieces);
    reserve(table_->keyed, keyed.size(), shim::kMostKeyed);
    if (++table_->ticket == 0) ++table_->ticket;
    table_->pieces.assign(pieces.begin(), pieces.end());
    table_->keyed.assign(keyed.begin(), keyed.end());
    table_->refused_breaks = refused_breaks;
  });
  return table_->ticket;
}

void TableFile::set_tree(const Range& sealed_area, const policy::TreeOptions& tree_options) {
  change([&] {
    root_->sealed_area = sealed_area;
    table_->tree_options = tree_options;
  });
}

void TableFile::set_policy(std::string_view options, std::string_view complaints) {
  constexpr std::size_t kMost = shim::kOptionTextBytes - 1;
  if (options.size() > kMost) {  // a truncated rule could mean something else
    options = {};
    complaints = shim::kTooManyRules;
  }
  const auto put_text = [this](shim::TableVector<char>& to, std::string_view text) {
    text = text.substr(0, kMost);
    reserve(to, text.size(), kMost);
    to.assign(text.begin(), text.end());
  };
  change([&] {
    put_text(table_->policy, options);
    put_text(table_->complaints, complaints);
  });
}

}  // namespace libmseal::supervisor
