#include "shim/supervisor/registry/lineage.h"

namespace libmseal::supervisor {

void Lineage::note_adopter(const Process& process) {
  constexpr std::size_t kMost = 1024;
  if (adopters_.size() == kMost) {
    std::erase_if(adopters_, [&](const Process& one) { return proc_.stat(one.id).is_gone(); });
    if (adopters_.size() == kMost) return note_unknown();
  }
  adopters_.insert(process);
}

void Lineage::note_sibling_of(const Process& process) {
  constexpr int kLooks = 3;  // its parent may end meanwhile, and another process adopt it
  for (int looks = 0; looks < kLooks; ++looks) {
    const auto child = proc_.stat(process.id);
    if (child.is_gone()) return;  // it makes no call any more
    if (!child.is_seen()) break;
    const auto id = static_cast<pid_t>(child->parent);
    if (id == 0) return;  // outside of the tree
    const auto parent = proc_.stat(id);
    // If the parent ends before the child is created, an adopter gets the child.
    if (parent.is_seen()) return note_adopter({id, parent->start_time});
    if (!parent.is_gone()) break;
  }
  note_unknown();
}

std::optional<Process> Lineage::parent_of(const Process& process) const {
  const auto child = proc_.stat(process.id);
  if (!child.is_seen() || child->start_time != process.start_time || child->parent == 0) return std::nullopt;
  const auto id = static_cast<pid_t>(child->parent);
  const auto parent = proc_.stat(id);
  // If it has ended by now, the child has another parent.
  const auto again = proc_.stat(process.id);
  const bool same =
      again.is_seen() && again->start_time == process.start_time && again->parent == child->parent;
  if (!parent.is_seen() || !same) return std::nullopt;
  const Process found{id, parent->start_time};
  return has_only_own_children(found) ? std::optional(found) : std::nullopt;
}

bool Lineage::has_only_own_children(const Process& process) const {
  if (unknown_ || adopters_.contains(process)) return false;
  const auto status = proc_.status(process.id);
  return status.is_seen() && !status->is_first_of_namespace;
}

}  // namespace libmseal::supervisor
