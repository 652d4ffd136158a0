#include "shim/supervisor/registry/collection.h"

#include <algorithm>
#include <set>
#include <vector>

namespace libmseal::supervisor {
namespace {

void forget_images(Images& images, const std::vector<Identified>& alive, const std::set<Process>& processes,
                   Newcomers& newcomers, InheritedFilters& filters) {
  std::set<const Image*> used;
  bool others = false;
  for (const Identified& one : alive) {
    const std::vector<Image*> its = newcomers.images_of(one);
    used.insert(its.begin(), its.end());
    // A program without the library has inherited filters, too, and may start one with the library.
    others = others || (one.filtered && its.empty());
  }
  if (!others) filters.forget_retired();
  images.forget_if([&](const Image& image) {
    if (used.contains(&image)) return false;
    if (others) filters.retire(image, processes);
    return true;
  });
  filters.forget_ended(processes);
}

}  // namespace

bool forget_ended(Images& images, const Identification& identification, Newcomers& newcomers,
                  InheritedFilters& filters) {
  const auto alive = identification.everybody();
  if (!alive.is_seen()) return false;
  std::set<Process> processes;
  for (const Identified& one : *alive) processes.insert(one.process);
  forget_images(images, *alive, processes, newcomers, filters);
  // A child may have inherited its seals from a member that has ended: so all children become members first.
  for (const Identified& one : *alive) newcomers.register_process(one);
  for (Image& image : images) {
    image.ended.clear();
    std::erase_if(image.members, [&](const auto& member) { return !processes.contains(member.first); });
  }
  return true;
}

}  // namespace libmseal::supervisor
