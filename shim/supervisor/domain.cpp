#include "shim/supervisor/domain.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <new>
#include <stdexcept>

namespace libmseal::supervisor {

using policy::Range;
using policy::Seal;
using shim::kTableBytes;

namespace {

constexpr unsigned kFutureWrite = 0x0010;  // F_SEAL_FUTURE_WRITE, in the headers since glibc 2.31
constexpr std::size_t kCollectEvery = 64;

// It can't be looked at, and for all that can be told has memory of a domain.
bool might_belong(pid_t process) {
  const TaskStatus status = status_of(process);
  return status.filtered && status.has_memory;
}

}  // namespace

TableFile::TableFile() {
  descriptor_ = memfd_create("libmseal-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor_ < 0 || ftruncate(descriptor_, kTableBytes) != 0) throw std::runtime_error("no memory file");
  memory_ = mmap(nullptr, kTableBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (memory_ == MAP_FAILED) throw std::runtime_error("no memory for a table");
  if (fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | kFutureWrite | F_SEAL_SEAL) != 0) {
    throw std::runtime_error("the table can't be made read-only");
  }
  auto* const root = new (memory_) shim::TableRoot;
  shim::TableMemory memory(boost::interprocess::create_only, static_cast<char*>(memory_) + shim::kTableHeader,
                           kTableBytes - shim::kTableHeader);
  table_ = memory.construct<shim::SealTable>(boost::interprocess::anonymous_instance)(
      memory.get_segment_manager());
  table_->seals.reserve(shim::kMostSeals);
  table_->fences.reserve(shim::kMostFences);
  root->table = table_;
  root->magic = shim::kTableMagic;
}

TableFile::~TableFile() {
  if (memory_ != nullptr) munmap(memory_, kTableBytes);
  if (descriptor_ >= 0) close(descriptor_);
}

std::span<const Seal> TableFile::seals() const {
  return {table_->seals.data(), table_->seals.size()};
}
std::span<const Range> TableFile::fences() const {
  return {table_->fences.data(), table_->fences.size()};
}

template <class Change>
bool TableFile::change(Change change) {
  table_->generation.fetch_add(1, std::memory_order_acq_rel);
  const bool changed = change();
  table_->generation.fetch_add(1, std::memory_order_release);
  return changed;
}

bool TableFile::add(const Seal& seal) {
  return change([&] { return policy::add_seal(table_->seals, seal, shim::kMostSeals); });
}

bool TableFile::add_fence(const Range& range) {
  if (table_->fences.size() == shim::kMostFences) return false;
  return change([&] {
    table_->fences.push_back(range);
    return true;
  });
}

void TableFile::set_arena(const Range& arena) {
  change([&] {
    table_->arena = arena;
    return true;
  });
}

Domain* Domains::find(const MmIdentity& identity) {
  const auto found = std::ranges::find(domains_, identity, &Domain::identity);
  return found == domains_.end() ? nullptr : &*found;
}

Domain* Domains::ancestor_of(const Process& process) {
  // The process itself, if it has called execve, else the nearest parent whose memory is known.
  for (Domain& domain : domains_) {
    if (domain.members.contains(process)) return &domain;
  }
  for (pid_t at = status_of(process.id).parent; at > 1; at = status_of(at).parent) {
    if (Domain* const domain = find(identity_of(at))) return domain;
  }
  return nullptr;
}

Domain& Domains::find_or_make(const MmIdentity& identity, const Process& process) {
  if (Domain* const known = find(identity)) {
    (void)join(*known, process);
    return *known;
  }
  if (++made_since_collection_ >= kCollectEvery) collect();
  auto table = std::make_unique<TableFile>();
  std::vector<Range> inherited;
  const auto take = [&](const Domain& domain) {
    inherited.insert(inherited.end(), domain.table->fences().begin(), domain.table->fences().end());
    inherited.insert(inherited.end(), domain.filtered.begin(), domain.filtered.end());
  };
  if (const Domain* const parent = ancestor_of(process)) {
    take(*parent);
  } else {
    std::ranges::for_each(domains_, take);  // an orphan: any of them may have been its ancestor
  }
  std::ranges::sort(inherited, {}, &Range::start);
  Range joined{};
  for (const Range& range : inherited) {
    if (!joined.empty() && range.start <= joined.end) {
      joined.end = std::max(joined.end, range.end);
      continue;
    }
    if (!joined.empty()) table->add_fence(joined);
    joined = range;
  }
  if (!joined.empty()) table->add_fence(joined);
  for (Domain& domain : domains_) domain.members.erase(process);
  return adopt(identity, process, std::move(table));
}

Domain& Domains::adopt(const MmIdentity& identity, const Process& process, std::unique_ptr<TableFile> table) {
  table->set_arena(arena_);
  domains_.push_back({identity, std::move(table), {}, {}, false});
  (void)join(domains_.back(), process);
  return domains_.back();
}

std::uint32_t Domains::join(Domain& domain, const Process& process) {
  Member& member = domain.members[process];
  const std::uint64_t incarnation = incarnation_of(process.id);
  if (member.mark == 0 || member.incarnation != incarnation) member = {++last_mark_, incarnation};
  return member.mark;
}

void Domains::collect() {
  made_since_collection_ = 0;
  for (Domain& domain : domains_) {
    std::erase_if(domain.members,
                  [](const auto& member) { return process_of(member.first.id) != member.first; });
  }
  std::vector<MmIdentity> alive;
  for (const pid_t process : all_processes()) {
    const MmIdentity identity = identity_of(process);
    if (identity.readable()) {
      alive.push_back(identity);
    } else if (might_belong(process)) {
      return;
    }
  }
  // A living image may still need what its dead ancestors fenced, but it has copied that when it came.
  domains_.remove_if(
      [&](const Domain& domain) { return std::ranges::find(alive, domain.identity) == alive.end(); });
}

bool Domains::has_others(const Domain& domain, const Process& process) {
  return std::ranges::any_of(all_processes(), [&](pid_t other) {
    if (other == process.id) return false;
    const MmIdentity identity = identity_of(other);
    return identity.readable() ? identity == domain.identity : might_belong(other);
  });
}

}  // namespace libmseal::supervisor
