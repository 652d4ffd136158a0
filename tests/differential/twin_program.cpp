// One of two twins: runs the random operations of a seed on an arena at a fixed address and prints what came
// of each. Run under backend=kernel and under backend=seccomp, the two must print the same.
//
//   twin_program SEED OPERATIONS
//
// A line an operation: the call, "touches" if it names a sealed page, its result, and the state of the arena:
// for each page its protection and its first byte.
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

#include "mseal/mseal.h"
#include "policy/maps_line.h"
#include "shim/common/raw_syscall.h"

namespace {

using libmseal::policy::Range;
using libmseal::shim::raw_syscall;

constexpr std::uint64_t kBase = 0x10'0000'0000;
constexpr std::uint64_t kPage = 4096;
constexpr int kPages = 48;
constexpr int kMostSeals = 24;  // each costs a filter, and the kernel takes so many

class Twin {
 public:
  explicit Twin(std::uint64_t seed) : random_(seed) {
    for (int page = 0; page < kPages; ++page) fresh(page);
  }

  void step(int number) {
    touches_ = false;
    mixed_ = false;
    changed_ = {};
    const std::string call = choose();
    const long result = result_;
    std::printf("%d %s%s = %s", number, call.c_str(), touches_ ? " touches" : "", text_of(result).c_str());
    if (touches_) std::printf(" sealed %s", state(true).c_str());
    if (mixed_) repair();
    std::printf(" all %s\n", state(false).c_str());
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  static std::uint64_t address(int page) { return kBase + static_cast<std::uint64_t>(page) * kPage; }

  static void fresh(int page) {
    const long at = raw_syscall(__NR_mmap, address(page), kPage, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (at != static_cast<long>(address(page))) std::abort();
    *reinterpret_cast<char*>(at) = static_cast<char>('a' + page % 26);
  }

  // By the kernel, for a page past the end of its file kills whoever touches it. `byte` comes back if it is
  // there.
  static char copy_byte(int page, char byte, bool write) {
    const iovec local{&byte, 1};
    const iovec remote{reinterpret_cast<void*>(address(page)), 1};
    (void)raw_syscall(write ? __NR_process_vm_writev : __NR_process_vm_readv, getpid(), &local, 1, &remote, 1,
                      0);
    return byte;
  }

  void note_range(int first, int count) {
    for (int page = first; page < first + count && page < kPages; ++page) {
      if (page < 0) continue;
      changed_[static_cast<std::size_t>(page)] = true;
      if (sealed_[static_cast<std::size_t>(page)]) touches_ = true;
    }
    if (touches_) mixed_ = true;
  }

  // Kernels since 6.12 apply a refused mprotect or madvise to what comes before the page that refuses it, and
  // those since 6.17 look at the parts of an mremap one by one; we never do. Both twins put back what may
  // have changed: unsealed pages, and the contents of writable sealed ones.
  void repair() {
    const std::string protections = state(false);
    for (int page = 0; page < kPages; ++page) {
      if (!changed_[static_cast<std::size_t>(page)]) continue;
      const char bits = protections[static_cast<std::size_t>(page) * 2];
      if (!sealed_[static_cast<std::size_t>(page)]) {
        fresh(page);
      } else if (bits != '_' && ((bits <= '9' ? bits - '0' : bits - 'a' + 10) & 2) != 0) {
        (void)copy_byte(page, 'W', true);
      }
    }
  }

  std::string choose() {
    const int first = static_cast<int>(below(kPages));
    const int count = static_cast<int>(1 + below(below(4) == 0 ? 12 : 3));
    std::uint64_t at = address(first);
    std::uint64_t size = static_cast<std::uint64_t>(count) * kPage - below(2) * below(kPage);
    if (first + count > kPages) size = static_cast<std::uint64_t>(kPages - first) * kPage;
    note_range(first, static_cast<int>((size + kPage - 1) / kPage));
    switch (below(40)) {
      case 0:
        at += 1 + below(kPage - 1);
        break;
      case 1:
        size = 0;
        break;
      case 2:
        size = -kPage * below(3) - 1;
        break;
      default:
        break;
    }
    char text[200];
    static constexpr int kProts[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
    const int prot = kProts[below(4)];
    switch (below(12)) {
      case 0:
      case 1: {
        const int flags = MAP_ANONYMOUS | MAP_FIXED | (below(4) == 0 ? MAP_SHARED : MAP_PRIVATE);
        result_ = raw_syscall(__NR_mmap, at, size, prot, flags, -1, 0);
        mixed_ = false;
        std::snprintf(text, sizeof text, "mmap(%#lx, %#lx, %d, %#x)", at, size, prot,
                      static_cast<unsigned>(flags));
        break;
      }
      case 2:
        result_ = raw_syscall(__NR_munmap, at, size);
        mixed_ = false;
        std::snprintf(text, sizeof text, "munmap(%#lx, %#lx)", at, size);
        break;
      case 3:
      case 4:
      case 5:
        result_ = raw_syscall(__NR_mprotect, at, size, prot);
        std::snprintf(text, sizeof text, "mprotect(%#lx, %#lx, %d)", at, size, prot);
        break;
      case 6:
      case 7: {
        static constexpr int kAdvice[] = {MADV_NORMAL,     MADV_WILLNEED,        MADV_DONTNEED,
                                          MADV_DONTFORK,   MADV_DOFORK,          MADV_WIPEONFORK,
                                          MADV_KEEPONFORK, MADV_DONTNEED_LOCKED, 77};
        const int advice = kAdvice[below(std::size(kAdvice))];
        result_ = raw_syscall(__NR_madvise, at, size, advice);
        std::snprintf(text, sizeof text, "madvise(%#lx, %#lx, %d)", at, size, advice);
        break;
      }
      case 8:
      case 9: {
        const std::uint64_t new_size = (1 + below(6)) * kPage;
        // The kernel's seals split mappings and ours do not, and an mremap across a split fails.
        if (!touches_) size = std::min(size, kPage);
        const std::uint64_t flags = below(3) == 0 ? MREMAP_MAYMOVE | MREMAP_FIXED : 0;
        const int target = static_cast<int>(below(kPages - 6));
        if (flags != 0) note_range(target, static_cast<int>(new_size / kPage));
        result_ = raw_syscall(__NR_mremap, at, size, new_size, flags, address(target));
        std::snprintf(text, sizeof text, "mremap(%#lx, %#lx, %#lx, %#lx, %#lx)", at, size, new_size, flags,
                      address(target));
        break;
      }
      default:
        if (seals_ < kMostSeals && below(6) == 0) {
          result_ = mseal(reinterpret_cast<void*>(at), size, 0) == 0 ? 0 : -errno;
          mixed_ = false;
          if (result_ == 0 && size != 0) {
            ++seals_;
            for (std::uint64_t page = at; page < at + size; page += kPage) {
              sealed_[static_cast<std::size_t>((page - kBase) / kPage)] = true;
            }
          }
          std::snprintf(text, sizeof text, "mseal(%#lx, %#lx)", at, size);
          break;
        }
        mixed_ = false;
        touches_ = false;
        for (int page = 0; page < kPages; ++page) {
          if (!sealed_[static_cast<std::size_t>(page)] && below(3) == 0) fresh(page);
        }
        result_ = 0;
        std::snprintf(text, sizeof text, "refill");
        break;
    }
    return text;
  }

  static std::string text_of(long result) {
    if (result >= static_cast<long>(kBase) && result < static_cast<long>(kBase + kPages * kPage)) {
      return "page " + std::to_string((static_cast<std::uint64_t>(result) - kBase) / kPage);
    }
    return std::to_string(result);
  }

  // Two characters a page: protection and first byte ("__" not mapped, "?" not readable).
  std::string state(bool only_sealed) const {
    std::array<char, kPages> protection;
    protection.fill('_');
    std::ifstream maps("/proc/self/maps");
    const Range arena{kBase, kBase + kPages * kPage};
    for (std::string line; std::getline(maps, line);) {
      const auto vma = libmseal::policy::parse_maps_line(line);
      if (!vma || !vma->range.touches(arena)) continue;
      const Range part = intersection(vma->range, arena);
      const int bits = (vma->readable ? 1 : 0) + (vma->writable ? 2 : 0) + (vma->executable ? 4 : 0) +
                       (vma->shared ? 8 : 0);
      for (std::uint64_t page = part.start; page < part.end; page += kPage) {
        protection[(page - kBase) / kPage] = "0123456789abcdef"[bits];
      }
    }
    std::string text;
    for (int page = 0; page < kPages; ++page) {
      const char bits = protection[static_cast<std::size_t>(page)];
      if (only_sealed && !sealed_[static_cast<std::size_t>(page)]) continue;
      text += bits;
      const bool readable = bits != '_' && (bits - '0') % 2 == 1;
      const char byte = readable ? copy_byte(page, '!', false) : '?';
      text += byte == 0 ? '.' : byte;
    }
    return text;
  }

  std::mt19937_64 random_;
  std::array<bool, kPages> sealed_{};
  int seals_ = 0;
  long result_ = 0;
  bool touches_ = false;
  bool mixed_ = false;
  std::array<bool, kPages> changed_{};  // pages that the present call names
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  Twin twin(std::strtoull(arguments[1], nullptr, 10));
  const int operations = std::atoi(arguments[2]);
  for (int number = 0; number < operations; ++number) twin.step(number);
  return 0;
}
