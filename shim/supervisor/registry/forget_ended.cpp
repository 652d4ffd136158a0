// Forgets processes that have ended, and images without processes.
#include <algorithm>
#include <set>
#include <vector>

#include "shim/supervisor/registry/registry.h"

namespace libmseal::supervisor {

bool Registry::forget_ended_if_due(bool idle) {
  return times_.is_due(idle) && forget_ended_now();
}

bool Registry::forget_ended_now() {
  times_.note_attempt();
  if (!forget_ended()) return false;
  all_seals_.set(newcomers_.seals_of_everybody()->seals());
  times_.note_success();
  return true;
}

bool Registry::forget_ended() {
  const auto alive = identification_.everybody();
  if (!alive.is_seen()) return false;
  std::set<Process> processes;
  for (const Identified& one : *alive) processes.insert(one.process);
  forget_images(*alive, processes);
  // A child may have inherited its seals from a member that has ended: so all children become members first.
  for (const Identified& one : *alive) newcomers_.register_process(one);
  for (Image& image : images_) {
    image.ended.clear();
    std::erase_if(image.members, [&](const auto& member) { return !processes.contains(member.first); });
  }
  return true;
}

void Registry::forget_images(const std::vector<Identified>& alive, const std::set<Process>& processes) {
  std::set<const Image*> used;
  bool others = false;
  for (const Identified& one : alive) {
    const std::vector<Image*> its = newcomers_.images_of(one);
    used.insert(its.begin(), its.end());
    // A program without the library has inherited filters, too, and may start one with the library.
    others = others || (one.filtered && its.empty());
  }
  if (!others) inherited_filters_.forget_retired();
  images_.forget_if([&](const Image& image) {
    if (used.contains(&image)) return false;
    if (others) inherited_filters_.retire(image, processes);
    return true;
  });
  inherited_filters_.forget_ended(processes);
}

}  // namespace libmseal::supervisor
