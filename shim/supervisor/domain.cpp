#include "shim/supervisor/domain.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <system_error>

namespace libmseal::supervisor {

using policy::Range;
using policy::Seal;
using shim::kTableBytes;

namespace {

constexpr unsigned kFutureWrite = 0x0010;  // F_SEAL_FUTURE_WRITE, in the headers since glibc 2.31
constexpr std::size_t kCollectEvery = 128;

// It can't be looked at, and for all that can be told has memory of a domain.
bool might_belong(pid_t process) {
  const TaskStatus status = status_of(process);
  return status.filtered && status.has_memory;
}

[[noreturn]] void fail(int descriptor, const char* what) {
  const int why = errno;
  if (descriptor >= 0) close(descriptor);
  throw std::system_error(why, std::generic_category(), what);
}

}  // namespace

TableFile::TableFile() {
  descriptor_ = memfd_create("libmseal-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor_ < 0 || ftruncate(descriptor_, kTableBytes) != 0) fail(descriptor_, "no memory file");
  memory_ = mmap(nullptr, kTableBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (memory_ == MAP_FAILED) fail(descriptor_, "no memory for a table");
  if (fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | kFutureWrite | F_SEAL_SEAL) != 0) {
    fail(descriptor_, "the table can't be made read-only");
  }
  auto* const root = new (memory_) shim::TableRoot;
  shim::TableMemory memory(boost::interprocess::create_only, static_cast<char*>(memory_) + shim::kTableHeader,
                           kTableBytes - shim::kTableHeader);
  table_ = memory.construct<shim::SealTable>(boost::interprocess::anonymous_instance)(
      memory.get_segment_manager());
  table_->seals.reserve(shim::kMostSeals);
  table_->fences.reserve(shim::kMostFences);
  root->table = table_;
  root->version = policy::kLayoutVersion;
  root->size = sizeof(shim::SealTable);
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

void TableFile::set_tree(const Range& arena, const policy::TreeRules& rules) {
  change([&] {
    table_->arena = arena;
    table_->rules = rules;
    return true;
  });
}

void TableFile::set_policy(std::string_view options, std::string_view complaints) {
  if (options.size() >= table_->policy.size()) {  // half of a rule is another rule
    options = {};
    complaints = "the policy files have too many rules for this program";
  }
  change([&] {
    (void)options.copy(table_->policy.data(), table_->policy.size() - 1);
    (void)complaints.copy(table_->complaints.data(), table_->complaints.size() - 1);
    return true;
  });
}

namespace {

// Whether a process of that image is, or may be, of the domain: its memory was not made by an execve of its
// own, unless that is how the domain began.
bool may_be_of(const Image& image, const Domain& domain) {
  if (image.memory != domain.identity) return false;
  return image.forked || (image.process == domain.creator && !domain.memory->gone());
}

}  // namespace

Domain* Domains::find(const Image& image) {
  std::vector<Domain*> candidates;  // several only where addresses are not randomised
  for (Domain& domain : domains_) {
    if (!may_be_of(image, domain)) continue;
    if (!image.forked || domain.members.contains(image.process)) return &domain;
    candidates.push_back(&domain);
  }
  if (candidates.empty()) return nullptr;
  if (candidates.size() == 1) return candidates.front();
  const Process parent = process_of(status_of(image.process.id).parent);
  for (Domain* const domain : candidates) {
    if (domain->members.contains(parent)) return domain;
  }
  return &adopt_orphan(image, candidates);
}

// Nobody can tell any more which of them it came from: it gets the seals of all.
Domain& Domains::adopt_orphan(const Image& image, const std::vector<Domain*>& candidates) {
  auto table = std::make_unique<TableFile>();
  for (const Domain* const domain : candidates) {
    for (Seal seal : domain->table->seals()) {
      seal.owner = 0;
      (void)table->add(seal);
    }
    for (const Range& fence : domain->table->fences()) (void)table->add_fence(fence);
  }
  return adopt(image, std::move(table));
}

Domain* Domains::ancestor_of(const Process& process) {
  // The process itself, if it has called execve, else the nearest parent whose memory is known.
  for (Domain& domain : domains_) {
    if (domain.members.contains(process)) return &domain;
  }
  for (pid_t at = status_of(process.id).parent; at > 1; at = status_of(at).parent) {
    if (Domain* const domain = find(image_of(at))) return domain;
  }
  return nullptr;
}

Domain& Domains::find_or_make(const Image& image) {
  const Process& process = image.process;
  if (Domain* const known = find(image)) {
    (void)join(*known, process);
    return *known;
  }
  ++made_since_collection_;
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
  for (Domain& domain : domains_) {
    if (rules_.covers_all && domain.members.contains(process)) meet_newcomers(domain);
    domain.members.erase(process);
  }
  table->set_policy(policies_.options_for(process.id), {});
  return adopt(image, std::move(table));
}

Domain& Domains::adopt(const Image& image, std::unique_ptr<TableFile> table) {
  table->set_tree(arena_, rules_);
  domains_.push_back({});
  domains_.back().identity = image.memory;
  domains_.back().creator = image.process;
  domains_.back().memory = std::make_unique<MemoryWatch>(image.process.id);
  domains_.back().table = std::move(table);
  (void)join(domains_.back(), image.process);
  return domains_.back();
}

Member& Domains::join(Domain& domain, const Process& process) {
  const std::uint64_t incarnation = incarnation_of(process.id);
  const auto found = domain.members.find(process);
  if (found != domain.members.end() && found->second.incarnation == incarnation) return found->second;
  ++made_since_collection_;
  Member fresh{++last_mark_, incarnation, nullptr};
  if (rules_.covers_all) {
    fresh.seals = seals_of_newcomer(domain, process);
    if (found != domain.members.end()) fresh.seals->join(*found->second.seals);
  }
  return domain.members[process] = std::move(fresh);
}

std::shared_ptr<SealSet> Domains::seals_of_newcomer(Domain& domain, const Process& process) {
  auto seals = std::make_shared<SealSet>();
  if (domain.members.empty()) {
    for (const Seal& seal : domain.table->seals()) (void)seals->add(seal);
    return seals;
  }
  for (const auto& [other, member] : domain.members) {
    const bool same = other.id != process.id && have_one_memory(other.id, process.id);
    if (same && process_of(other.id) == other) return member.seals;
  }
  const Process parent = process_of(status_of(process.id).parent);
  if (const auto found = domain.members.find(parent); found != domain.members.end()) {
    *seals = *found->second.seals;
    return seals;
  }
  // Its parent is gone: any member may be where it came from.
  for (const auto& [other, member] : domain.members) seals->join(*member.seals);
  return seals;
}

void Domains::meet_newcomers(Domain& domain) {
  const Births now = births();
  if (now.none_since(domain.met)) return;
  for (const pid_t process : all_processes()) {
    const Image image = image_of(process);
    if (may_be_of(image, domain) && find(image) == &domain) (void)join(domain, image.process);
  }
  domain.met = now;
}

// A child may have its seals from nobody but a member that is dead by now: so children are met first.
void Domains::forget_dead_members(Domain& domain) {
  std::vector<Process> dead;
  for (const auto& [process, member] : domain.members) {
    if (process_of(process.id) != process) dead.push_back(process);
  }
  if (rules_.covers_all && !dead.empty()) meet_newcomers(domain);
  for (const Process& process : dead) domain.members.erase(process);
}

bool Domains::collect() {
  if (made_since_collection_ < kCollectEvery) return false;
  made_since_collection_ = 0;
  std::vector<Image> alive;
  for (const pid_t process : all_processes()) {
    const Image image = image_of(process);
    if (image.memory.readable()) {
      alive.push_back(image);
    } else if (might_belong(process)) {
      return false;
    }
  }
  // A living image may still need what its dead ancestors fenced, but it has copied that when it came.
  domains_.remove_if([&](const Domain& domain) {
    return std::ranges::none_of(alive, [&](const Image& image) { return may_be_of(image, domain); });
  });
  for (Domain& domain : domains_) forget_dead_members(domain);
  return true;
}

bool Domains::has_others(const Domain& domain, const Process& process) {
  const Births now = births();
  if (alone_ == process && now.none_since(alone_since_)) return false;
  const bool others = std::ranges::any_of(all_processes(), [&](pid_t other) {
    if (other == process.id) return false;
    const Image image = image_of(other);
    return image.memory.readable() ? may_be_of(image, domain) : might_belong(other);
  });
  alone_ = others ? Process{} : process;
  alone_since_ = now;
  return others;
}

}  // namespace libmseal::supervisor
