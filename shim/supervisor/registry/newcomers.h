// Processes that are seen for the first time: which images they may belong to, and which seals they may have
// inherited.
#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "policy/rules/range.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/caller.h"
#include "shim/supervisor/registry/forgetting_times.h"
#include "shim/supervisor/registry/identification.h"
#include "shim/supervisor/registry/images.h"
#include "shim/supervisor/registry/lineage.h"
#include "shim/supervisor/registry/seal_record.h"

namespace libmseal::supervisor {

class Newcomers {
 public:
  Newcomers(Proc& proc, Images& images, const Identification& identification, const Lineage& lineage,
            ForgettingTimes& times, const policy::Range& sealed_area);

  // The images that it may belong to.
  [[nodiscard]] std::vector<Image*> images_of(const Identified& who);
  // The member, if it is certainly this process; otherwise null.
  [[nodiscard]] static const Member* held_member(const Image& image, const Identified& who);

  // A record of what every process of the tree inherits.
  [[nodiscard]] std::shared_ptr<SealRecord> fresh_record();
  [[nodiscard]] std::shared_ptr<SealRecord> seals_of_everybody();

  Member& join(Image& image, const Process& process, std::shared_ptr<SealRecord> record);
  // `generation`: how many descendants are registered after it, because of it.
  Member& join_newcomer(Image& image, const Identified& who, pid_t task,
                        const std::vector<Image*>& candidates, int generation = 0);
  // The memory of a member that was first seen hidden can be read now.
  void note_memory_readable(const Identified& who, pid_t task, const std::vector<Image*>& candidates);
  // Adds it to the members of its image, or only of this one, if it belongs there and is not one yet.
  void register_process(const Identified& who, const Image* image = nullptr, int generation = 0);
  // Adds all existing processes of the image to its members, and forgets those that have ended.
  void register_children(Image& image, const Caller& caller);

 private:
  [[nodiscard]] std::shared_ptr<SealRecord> seals_of_newcomer(const std::vector<Image*>& candidates,
                                                              const Identified& who);
  [[nodiscard]] std::vector<SealRecord*> records_of_possible_parents(const std::vector<Image*>& candidates,
                                                                     const Identified& who) const;
  void register_parent(Image& image, const Process& process, int generation);
  [[nodiscard]] SealRecord* record_of_parent(const Image& image, const Process& process) const;
  [[nodiscard]] std::shared_ptr<SealRecord> record_of_memory(const std::vector<Image*>& candidates,
                                                             const Process& own, pid_t task);
  // Whether the member, and which members, have certainly ended.
  [[nodiscard]] static bool is_gone(const Member& member);
  [[nodiscard]] static std::vector<Process> members_gone(const Image& image);
  void forget_guesses(const Process& process, const std::vector<Image*>& candidates);

  Proc& proc_;
  Images& images_;
  const Identification& identification_;
  const Lineage& lineage_;
  ForgettingTimes& times_;
  SealRecord at_birth_;  // see fresh_record()
};

}  // namespace libmseal::supervisor
