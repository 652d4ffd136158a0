// Deny filters of images that a process ran before it called execve: they go on refusing where they did.
#pragma once

#include <list>
#include <optional>
#include <span>
#include <vector>

#include "policy/rules/range.h"
#include "shim/supervisor/caller.h"
#include "shim/supervisor/image.h"
#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {

class InheritedFilters {
 public:
  InheritedFilters(Proc& proc, const std::list<Image>& images) : proc_(proc), images_(images) {}

  // Where they may refuse in the process, sorted and apart.
  [[nodiscard]] std::vector<policy::Range> of(const Caller& caller) const;
  // A table got these.
  void add_fences(std::span<const policy::Range> fences);
  // The image is about to be forgotten; its filters may be in force somewhere.
  void retire(const Image& image);
  // No process has any filter of an image that is forgotten.
  void forget_retired() { retired_.clear(); }
  // Of the tables that are left.
  void count_fences_again();

 private:
  [[nodiscard]] std::optional<std::vector<policy::Range>> of_member(const Process& process) const;
  [[nodiscard]] std::vector<policy::Range> of_stranger(const Caller& caller) const;

  Proc& proc_;
  const std::list<Image>& images_;
  std::vector<policy::Range> fences_;  // of all tables, sorted and apart
  std::vector<SealEntry> retired_;     // of forgotten images
};

}  // namespace libmseal::supervisor
