// A std::pmr memory resource that is filled and then frozen: its memory becomes read-only and sealed.
//
//   libmseal::sealed_region region;
//   std::pmr::vector<route> routes(&region);   // fill it ...
//   region.freeze();                           // ... and nothing can change it any more
//
// The region maps its own memory and never frees single allocations. C++20; link with -lmseal or start under
// LD_PRELOAD=libmseal.so.
//
// After freeze(), a destructor of a container or element that writes to the region ends the program (SIGSEGV).
// The destructors of vectors and strings do not write, unless an element's does; those of hash tables do. A
// container that lies in the region itself is never destroyed, and its own pointers are sealed as well:
//
//   auto& routes = *std::pmr::polymorphic_allocator<>(&region).new_object<std::pmr::vector<route>>();
#pragma once

#include <mseal/mseal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <system_error>
#include <vector>

namespace libmseal {

// Not thread-safe.
class sealed_region final : public std::pmr::memory_resource {
 public:
  // Maps at least `chunk` bytes at a time.
  explicit sealed_region(std::size_t chunk = std::size_t{64} * 1024) : chunk_(chunk) {}

  // Unmaps memory that is not sealed; sealed memory stays until the process ends. Allocates nothing.
  ~sealed_region() override {
    if (frozen_) return;
    for (const mseal_range& one : mappings_) munmap(one.addr, one.len);
  }
  sealed_region(const sealed_region&) = delete;
  sealed_region& operator=(const sealed_region&) = delete;

  // Makes all of the region's memory read-only and seals it, or throws std::system_error with the error of
  // mprotect or mseal_ranges. Then a part of the memory or all of it is read-only; call it again to try again.
  // Once it was called, allocations throw std::bad_alloc. Once it has succeeded, it does nothing.
  void freeze() {
    if (frozen_) return;
    closed_ = true;
    for (; read_only_ < mappings_.size(); ++read_only_) {
      const mseal_range& one = mappings_[read_only_];
      if (mprotect(one.addr, one.len, PROT_READ) != 0) throw_error("mprotect");
    }
    if (mseal_ranges(mappings_.data(), mappings_.size(), 0) != 0) throw_error("mseal_ranges");
    frozen_ = true;
  }

  [[nodiscard]] bool frozen() const noexcept { return frozen_; }

 private:
  [[noreturn]] static void throw_error(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
  }

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (closed_) throw std::bad_alloc();
    std::uintptr_t at = (next_ + alignment - 1) / alignment * alignment;
    if (next_ == 0 || at < next_ || at > end_ || end_ - at < bytes) {
      map_chunk(bytes, alignment);
      at = (next_ + alignment - 1) / alignment * alignment;
    }
    next_ = at + bytes;
    return reinterpret_cast<void*>(at);  // NOLINT(performance-no-int-to-ptr)
  }
  void do_deallocate(void*, std::size_t, std::size_t) override {}
  [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }

  void map_chunk(std::size_t bytes, std::size_t alignment) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    std::size_t size = chunk_;
    if (bytes > SIZE_MAX - alignment - page) throw std::bad_alloc();
    if (size < bytes + alignment) size = bytes + alignment;
    size = (size + page - 1) / page * page;
    mappings_.reserve(mappings_.size() + 1);
    void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mappings_.push_back({memory, size});
    next_ = reinterpret_cast<std::uintptr_t>(memory);
    end_ = next_ + size;
  }

  std::size_t chunk_;
  std::vector<mseal_range> mappings_;
  std::uintptr_t next_ = 0;
  std::uintptr_t end_ = 0;
  std::size_t read_only_ = 0;  // of the mappings, the first ones
  bool closed_ = false;        // for allocations
  bool frozen_ = false;
};

}  // namespace libmseal
