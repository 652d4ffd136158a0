#include "shim/supervisor/lineage.h"

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
  const auto child = proc_.stat(process.id);
  const auto parent = child.is_seen() ? proc_.stat(static_cast<pid_t>(child->parent)) : child;
  if (!parent.is_seen()) return note_unknown();
  // Should it end before the child is born, that becomes one of somebody who adopts.
  note_adopter({static_cast<pid_t>(child->parent), parent->start_time});
}

bool Lineage::has_only_own_children(const Process& process) const {
  if (unknown_ || adopters_.contains(process)) return false;
  const auto status = proc_.status(process.id);
  return status.is_seen() && !status->is_first_of_namespace;
}

}  // namespace libmseal::supervisor
