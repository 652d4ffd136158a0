// The calls under test, each by libc and by a bare system call instruction; both return -errno on failure.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "shim/common/raw_syscall.h"

namespace libmseal::tests {

enum class Via { libc, raw };
inline constexpr Via kBothWays[] = {Via::libc, Via::raw};

inline long libc_value(long value) {
  return value == -1 ? -errno : value;
}
inline long libc_value(void* value) {
  return value == MAP_FAILED ? -errno : reinterpret_cast<long>(value);
}

struct Calls {
  Via via;

  [[nodiscard]] long unmap(void* at, std::size_t size) const {
    return via == Via::libc ? libc_value(::munmap(at, size)) : shim::raw_syscall(__NR_munmap, at, size);
  }
  [[nodiscard]] long map(void* at, std::size_t size, int prot, int flags, int fd = -1,
                         long offset = 0) const {
    return via == Via::libc ? libc_value(::mmap(at, size, prot, flags, fd, offset))
                            : shim::raw_syscall(__NR_mmap, at, size, prot, flags, fd, offset);
  }
  [[nodiscard]] long protect(void* at, std::size_t size, int prot) const {
    return via == Via::libc ? libc_value(::mprotect(at, size, prot))
                            : shim::raw_syscall(__NR_mprotect, at, size, prot);
  }
  [[nodiscard]] long protect_key(void* at, std::size_t size, int prot, int key) const {
    return via == Via::libc ? libc_value(::pkey_mprotect(at, size, prot, key))
                            : shim::raw_syscall(__NR_pkey_mprotect, at, size, prot, key);
  }
  [[nodiscard]] long remap(void* at, std::size_t size, std::size_t new_size, int flags,
                           void* to = nullptr) const {
    return via == Via::libc ? libc_value(::mremap(at, size, new_size, flags, to))
                            : shim::raw_syscall(__NR_mremap, at, size, new_size, flags, to);
  }
  [[nodiscard]] long advise(void* at, std::size_t size, int advice) const {
    return via == Via::libc ? libc_value(::madvise(at, size, advice))
                            : shim::raw_syscall(__NR_madvise, at, size, advice);
  }
};

inline std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// Memory where no image lands: there a seal takes a filter, on every machine.
inline char* map_far_away(std::size_t size, int prot) {
  static std::uint64_t next = 0x1800'0000'0000;
  void* const at = ::mmap(reinterpret_cast<void*>(next), size, prot,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  next += (size + 0xFFFF) / 0x10000 * 0x10000;
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

// Memory below a GiB, where the supervisor decides on every machine.
inline char* map_watched(std::size_t size, int prot, std::uintptr_t where = 0x3000'0000) {
  void* const at = ::mmap(reinterpret_cast<void*>(where), size, prot,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  return reinterpret_cast<std::uintptr_t>(at) == where ? static_cast<char*>(at) : nullptr;
}

}  // namespace libmseal::tests
