#include "shim/preload/table_reader.h"

#include "shim/common/seal_table.h"

namespace libmseal::shim {
namespace {

const SealTable& table_in(const void* memory) {
  return *static_cast<const TableRoot*>(memory)->table;
}

// Runs read() until no write has happened meanwhile. The storage never moves or shrinks, so a torn read sees
// wrong values at worst, never bad memory.
template <class Read>
auto consistently(const SealTable& table, Read read) {
  while (true) {
    const std::uint32_t before = table.generation.load(std::memory_order_acquire);
    if (before % 2 != 0) continue;
    const auto result = read();
    std::atomic_thread_fence(std::memory_order_acquire);
    if (table.generation.load(std::memory_order_relaxed) == before) return result;
  }
}

}  // namespace

bool is_table(const void* memory) {
  return static_cast<const TableRoot*>(memory)->magic == kTableMagic;
}

policy::Coverage table_coverage(const void* memory, const policy::Range& range) {
  const SealTable& table = table_in(memory);
  return consistently(table, [&] {
    const std::span<const policy::Seal> seals(table.seals.data(), table.seals.size());
    return policy::coverage(seals, range, [](const policy::Seal&) { return true; });
  });
}

bool table_fences(const void* memory, Fences& fences) {
  const SealTable& table = table_in(memory);
  return consistently(table, [&] {
    fences.clear();
    bool fits = true;
    for (const policy::Range& fence : table.fences) fits = fits && fences.push_back(fence);
    return fits;
  });
}

policy::Range table_arena(const void* memory) {
  const SealTable& table = table_in(memory);
  return consistently(table, [&] { return table.arena; });
}

policy::TreeRules table_rules(const void* memory) {
  return table_in(memory).rules;
}

}  // namespace libmseal::shim
