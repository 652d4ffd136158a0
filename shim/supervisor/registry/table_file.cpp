#include "shim/supervisor/registry/table_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "shim/common/seal_table.h"
#include "shim/supervisor/processes/descriptor_reserve.h"

namespace libmseal::supervisor {

using policy::Range;
using policy::Seal;
using shim::kTableBytes;

namespace {

constexpr unsigned kFutureWrite = 0x0010;  // F_SEAL_FUTURE_WRITE, in the headers since glibc 2.31

}  // namespace

TableFile::TableFile() {
  const auto fail = [this](const char* what) {
    const int why = errno;
    release();
    throw std::system_error(why, std::generic_category(), what);
  };
  descriptor_ = memfd_create("libmseal-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
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
      shim::TableMemory(kTableBytes - shim::kTableHeader);
  table_ = memory->construct<shim::SealTable>(boost::interprocess::anonymous_instance)(memory);
  table_->seals.reserve(shim::kMostSeals);
  table_->fences.reserve(shim::kMostFences);
  table_->pieces.reserve(shim::kMostPieces);
  table_->keyed.reserve(shim::kMostKeyed);
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

std::span<const Range> TableFile::fences() const {
  return {table_->fences.data(), table_->fences.size()};
}

// `change` can't throw, because the storage is reserved.
template <class Change>
void TableFile::change(Change change) noexcept {  // NOLINT(bugprone-exception-escape): room is reserved
  table_->generation.fetch_add(1, std::memory_order_acq_rel);
  change();
  table_->generation.fetch_add(1, std::memory_order_release);
}

void TableFile::add(const Seal& seal) noexcept {  // NOLINT(bugprone-exception-escape): room is reserved
  const bool is_full = !table_->seals.empty() && table_->seals.front().range == shim::kEverything;
  if (is_full) return;
  change([&] {
    if (policy::add_seal(table_->seals, seal, shim::kMostSeals)) return;
    table_->seals.clear();
    table_->seals.push_back({shim::kEverything, true});
  });
}

void TableFile::add_fences(
    std::span<const Fence> fences) noexcept {  // NOLINT(bugprone-exception-escape): room is reserved
  const std::size_t room = shim::kMostFences - table_->fences.size();
  change([&] {
    for (const Fence& fence : fences.first(std::min(room, fences.size())))
      table_->fences.push_back(fence.range);
  });
}

std::uint32_t TableFile::put(std::span<const Seal> pieces, std::span<const policy::KeyedRange> keyed,
                             const Range& refused_breaks) {
  if (pieces.size() > shim::kMostPieces || keyed.size() > shim::kMostKeyed) return 0;
  change([&] {
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
  if (options.size() >= table_->policy.size()) {  // a truncated rule could mean something else
    options = {};
    complaints = shim::kTooManyRules;
  }
  change([&] {
    (void)options.copy(table_->policy.data(), table_->policy.size() - 1);
    (void)complaints.copy(table_->complaints.data(), table_->complaints.size() - 1);
  });
}

}  // namespace libmseal::supervisor
