// The seal table of an image, in a memfd that others can only map for reading.
#pragma once

#include <span>
#include <string_view>

#include "policy/configuration/tree_options.h"
#include "policy/rules/protection_key.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/no_copy.h"
#include "shim/supervisor/registry/fence.h"

namespace libmseal::shim {
struct SealTable;
struct TableRoot;
}  // namespace libmseal::shim

namespace libmseal::supervisor {

class TableFile : shim::NoCopy {
 public:
  // Throws std::system_error.
  TableFile();
  ~TableFile();

  [[nodiscard]] int descriptor() const { return descriptor_; }

  // All processes of the image use one table. If it is full, it says that everything may be sealed
  // (shim::kEverything).
  void add(const policy::Seal& seal) noexcept;  // NOLINT(bugprone-exception-escape): there is room
  // Adds as many as there is room for. Memory that is placed where a fence is missing, which is rare, can't
  // be changed.
  // NOLINTNEXTLINE(bugprone-exception-escape): there is room
  void add_fences(std::span<const Fence> fences) noexcept;
  // Replaces the findings for a process. Returns the ticket, or 0 if they do not fit.
  std::uint32_t put(std::span<const policy::Seal> pieces, std::span<const policy::KeyedRange> keyed,
                    const policy::Range& refused_breaks);
  void set_tree(const policy::Range& sealed_area, const policy::TreeOptions& tree_options);
  void set_policy(std::string_view options, std::string_view complaints);

 private:
  void release();
  template <class Vector>
  void reserve(Vector& vector, std::size_t count, std::size_t most);
  template <class Change>
  void change(Change change) noexcept;

  int descriptor_ = -1;
  void* memory_ = nullptr;
  shim::TableRoot* root_ = nullptr;
  shim::SealTable* table_ = nullptr;
};

}  // namespace libmseal::supervisor
