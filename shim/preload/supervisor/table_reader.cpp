#include "shim/preload/supervisor/table_reader.h"

#include <sys/mman.h>

#include <cerrno>

#include "shim/common/raw_syscall.h"
#include "shim/common/seal_table.h"

namespace libmseal::shim {
namespace {

const SealTable& table_in(const void* memory) {
  return *static_cast<const TableRoot*>(memory)->table;
}

template <class T>
std::span<const T> items_of(const TableVector<T>& vector) {
  return {vector.data(), vector.size()};
}

std::string_view text_of(const TableVector<char>& text) {
  return {text.data(), text.size()};
}

// Where the items are, for as long as the generation is the same.
struct Items {
  std::span<const policy::Seal> seals;
  std::span<const policy::Seal> pieces;
  std::span<const policy::KeyedRange> keyed;
};

void pause_processor() {
#ifdef __x86_64__
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

// Runs read() until no write happened meanwhile. Returns `unknown` after too many attempts, because the
// writer may have died during a write. A write may move the items, but the memory stays mapped, so a torn
// read only sees wrong values.
template <class Read, class Result>
Result consistently(const SealTable& table, Read read, Result unknown) {
  constexpr int kMostAttempts = 10'000'000;  // at least 0.1 s; a system call might end the program
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    const std::uint32_t before = table.generation.load(std::memory_order_acquire);
    if (before % 2 != 0) {
      pause_processor();  // the writer may wait for this processor
      continue;
    }
    const auto unchanged = [&] {
      std::atomic_thread_fence(std::memory_order_acquire);
      return table.generation.load(std::memory_order_relaxed) == before;
    };
    const Items items{items_of(table.seals), items_of(table.pieces), items_of(table.keyed)};
    if (!unchanged()) continue;  // a mixture of old and new addresses may point anywhere
    const Result result = read(items);
    if (unchanged()) return result;
  }
  return unknown;
}

}  // namespace

long read_sealed_area(long descriptor, policy::Range& sealed_area) {
  TableRoot root;
  const long got = raw_syscall(__NR_pread64, descriptor, &root, sizeof root, 0);
  if (failed(got)) return got;
  if (got != static_cast<long>(sizeof root) || !is_readable(root)) return -EPROTO;
  sealed_area = root.sealed_area;
  return 0;
}

long map_table(long descriptor, const void*& memory) {
  memory = nullptr;
  const long mapped = raw_syscall(__NR_mmap, 0, kTableBytes, PROT_READ, MAP_SHARED, descriptor, 0);
  (void)raw_syscall(__NR_close, descriptor);
  if (failed(mapped)) return mapped;
  const auto* const root = reinterpret_cast<const TableRoot*>(mapped);
  if (!is_readable(*root)) {
    unmap_table(root);
    return -EPROTO;
  }
  memory = root;
  return 0;
}

void unmap_table(const void* memory) {
  (void)raw_syscall(__NR_munmap, memory, kTableBytes);
}

policy::Coverage table_coverage(const void* memory, const policy::Range& range) {
  const auto look = [&](const Items& items) { return policy::coverage(items.seals, range); };
  return consistently(table_in(memory), look, policy::Coverage::partly);
}

bool take_found(const void* memory, std::uint32_t ticket, FoundMappings& found) {
  const SealTable& table = table_in(memory);
  const auto take = [&](const Items& items) {
    if (table.ticket != ticket) return false;
    found.pieces.clear();
    found.keyed.clear();
    for (const policy::Seal& piece : items.pieces) (void)found.pieces.push_back(piece);
    for (const policy::KeyedRange& one : items.keyed) (void)found.keyed.push_back(one);
    found.refused_breaks = table.refused_breaks;
    return true;
  };
  return consistently(table, take, false);
}

std::span<const policy::Range> table_fences(const void* memory) {
  return items_of(table_in(memory).fences);
}

policy::TreeOptions table_tree_options(const void* memory) {
  return table_in(memory).tree_options;
}

std::string_view table_policy(const void* memory) {
  return text_of(table_in(memory).policy);
}

std::string_view table_complaints(const void* memory) {
  return text_of(table_in(memory).complaints);
}

}  // namespace libmseal::shim
