// Deny filters that a process has from images that it or its ancestors ran before execve.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/caller.h"
#include "shim/supervisor/registry/fence.h"
#include "shim/supervisor/registry/images.h"
#include "shim/supervisor/registry/lineage.h"

namespace libmseal::supervisor {

class InheritedFilters {
 public:
  InheritedFilters(Proc& proc, const Lineage& lineage, const Images& images)
      : proc_(proc), lineage_(lineage), images_(images) {}

  // Where they may refuse changes in the process, sorted and disjoint; as many as a table has room for.
  [[nodiscard]] std::vector<Fence> of(const Caller& caller) const;
  // Notes the fences of an image.
  void add_fences(std::span<const Fence> fences);
  // The image is about to be forgotten, but its filters may still be in force, in these processes and others.
  void retire(const Image& image, const std::set<Process>& alive);
  // No process has a filter of a forgotten image any more.
  void forget_retired();
  // Only these processes and the remaining images exist.
  void forget_ended(const std::set<Process>& alive);

 private:
  [[nodiscard]] std::optional<std::vector<Fence>> of_process(const Process& process) const;
  [[nodiscard]] std::optional<std::vector<Fence>> of_ancestor(const Caller& caller) const;
  [[nodiscard]] std::vector<Fence> of_stranger(const Caller& caller) const;

  // What a filter of a forgotten image refuses.
  struct Retired {
    Fence fence;
    std::uint64_t seen = 0;  // when last, in images that had been forgotten by then
    // By filters first, so that fences that a process can't have are skipped.
    [[nodiscard]] auto key() const { return std::tuple(fence.filters, fence.range.start, fence.range.end); }
  };
  void limit_retired();

  Proc& proc_;
  const Lineage& lineage_;
  const Images& images_;
  std::vector<Fence> fences_;                     // of all images, sorted and disjoint
  std::vector<Retired> retired_;                  // sorted by key
  std::map<Process, std::vector<Fence>> former_;  // of live processes that were members of forgotten images
  std::uint64_t forgotten_ = 0;                   // images
};

}  // namespace libmseal::supervisor
