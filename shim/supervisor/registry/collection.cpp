#include "shim/supervisor/registry/collection.h"

#include <algorithm>
#include <set>
#include <vector>

namespace libmseal::supervisor {
namespace {

void forget_images(std::list<Image>& images, const std::vector<Identified>& alive, Newcomers& newcomers,
                   InheritedFilters& filters) {
  std::set<const Image*> used;
  std::set<Process> processes;
  bool others = false;
  for (const Identified& one : alive) {
    const std::vector<Image*> its = newcomers.images_of(one);
    used.insert(its.begin(), its.end());
    processes.insert(one.process);
    // A program without the library has inherited filters, too, and may start one with the library.
    others = others || (one.filtered && its.empty());
  }
  if (!others) filters.forget_retired();
  images.remove_if([&](const Image& image) {
    if (used.contains(&image)) return false;
    if (others) filters.retire(image, processes);
    return true;
  });
  filters.forget_ended(processes);
}

// A child may have inherited its seals from a member that has ended: so all children become members first.
void forget_members(Image& image, const std::vector<Identified>& alive, Newcomers& newcomers) {
  for (const Identified& one : alive) newcomers.meet(image, one);
  image.ended.clear();
  std::erase_if(image.members, [&](const auto& entry) {
    return std::ranges::none_of(alive, [&](const Identified& one) { return one.process == entry.first; });
  });
}

}  // namespace

bool forget_ended(std::list<Image>& images, const Identification& identification, Newcomers& newcomers,
                  InheritedFilters& filters) {
  const auto alive = identification.everybody();
  if (!alive.is_seen()) return false;
  forget_images(images, *alive, newcomers, filters);
  for (Image& image : images) forget_members(image, *alive, newcomers);
  return true;
}

}  // namespace libmseal::supervisor
