// One of two twins: replays a sequence of operations on an arena at a fixed address and prints what came of
// each. Run under backend=kernel and under backend=seccomp, the two must print the same.
//
//   twin_program FILE      a line an operation, as operation.h writes them
//
// A line an operation comes back: the call, "touches" if it names a sealed page, its result, and the state of
// the arena: for each page its protection and its first byte.
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "mseal/mseal.h"
#include "policy/maps_line.h"
#include "policy/mm_call.h"
#include "shim/common/raw_syscall.h"
#include "tests/differential/operation.h"

namespace libmseal::tests {
namespace {

using policy::Range;
using shim::raw_syscall;
using Kind = Operation::Kind;

constexpr std::uint64_t kSegmentSize = 2 * kPage;

// Does what it is given, one at a time, while the giver waits: a thread that was there before the seals.
class OtherThread {
 public:
  OtherThread() : thread_([this] { serve(); }) { thread_.detach(); }

  void run(const std::function<void()>& work) {
    std::unique_lock lock(mutex_);
    work_ = &work;
    changed_.notify_all();
    changed_.wait(lock, [this] { return work_ == nullptr; });
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return work_ != nullptr; });
      (*work_)();
      work_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* work_ = nullptr;
  std::thread thread_;
};

class Twin {
 public:
  Twin() : segment_(::shmget(IPC_PRIVATE, kSegmentSize, IPC_CREAT | 0600)), other_(new OtherThread) {
    if (segment_ < 0) std::abort();
    for (int page = 0; page < kPages; ++page) fresh(page);
  }
  ~Twin() { ::shmctl(segment_, IPC_RMID, nullptr); }
  Twin(const Twin&) = delete;
  Twin& operator=(const Twin&) = delete;

  void step(int number, const Operation& operation) {
    touches_ = false;
    named_ = {};
    note_ranges(operation);
    long result = 0;
    if (operation.kind == Kind::fork) {
      go_on_in_child();
    } else if (operation.other_thread) {
      other_->run([&] { result = perform(operation); });
    } else {
      result = perform(operation);
    }
    std::printf("%d %s%s = %s", number, to_text(operation).c_str(), touches_ ? " touches" : "",
                text_of(result).c_str());
    if (touches_) std::printf(" sealed %s", state(true).c_str());
    if (touches_ && may_be_applied_in_part(operation.kind)) repair();
    std::printf(" all %s\n", state(false).c_str());
  }

 private:
  static std::uint64_t address(int page) { return kArena + static_cast<std::uint64_t>(page) * kPage; }

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

  static std::uint64_t mremap_size(std::uint64_t size) { return size == 0 ? 1 : size; }

  void note(std::uint64_t at, std::uint64_t size) {
    if (at < kArena) return;
    for (std::uint64_t page = (at - kArena) / kPage; page < kPages; ++page) {
      if (address(static_cast<int>(page)) - at >= size && address(static_cast<int>(page)) >= at) break;
      named_[page] = true;
      if (sealed_[page]) touches_ = true;
    }
  }

  void note_ranges(const Operation& operation) {
    const auto& a = operation.arguments;
    switch (operation.kind) {
      case Kind::mremap:
        note(a[0], mremap_size(a[1]));
        if ((a[3] & MREMAP_FIXED) != 0) note(a[4], a[2]);
        break;
      case Kind::shmat:
        note(a[1], kSegmentSize);
        break;
      case Kind::shmdt:
        note(a[0], kSegmentSize);
        break;
      case Kind::mprotect:
        note(a[0], a[1]);
        // These may reach to either end of the mapping.
        if ((a[2] & (policy::kProtGrowsDown | policy::kProtGrowsUp)) != 0) note(kArena, kPages * kPage);
        break;
      case Kind::fresh:
      case Kind::fork:
        break;
      default:
        note(a[0], a[1]);
        break;
    }
  }

  // Kernels since 6.12 apply a refused mprotect or madvise to what comes before the page that refuses it, and
  // those since 6.17 look at the parts of an mremap one by one; an shmdt leaves the sealed pages of a segment
  // and takes the others. We never do. Both twins put back what may have changed.
  static bool may_be_applied_in_part(Kind kind) {
    return kind == Kind::mprotect || kind == Kind::pkey_mprotect || kind == Kind::madvise ||
           kind == Kind::mremap || kind == Kind::shmdt;
  }

  // Unsealed pages, and the contents of writable sealed ones.
  void repair() {
    const std::string protections = state(false);
    for (int page = 0; page < kPages; ++page) {
      const auto index = static_cast<std::size_t>(page);
      if (!named_[index]) continue;
      const char bits = protections[index * 2];
      (void)raw_syscall(__NR_madvise, address(page), kPage, MADV_KEEPONFORK);  // shows at the next fork
      if (!sealed_[index]) {
        fresh(page);
      } else if (bits != '_' && ((bits <= '9' ? bits - '0' : bits - 'a' + 10) & 2) != 0) {
        (void)copy_byte(page, 'W', true);
      }
    }
  }

  long perform(const Operation& operation) {
    const auto& a = operation.arguments;
    switch (operation.kind) {
      case Kind::mmap:
        return raw_syscall(__NR_mmap, a[0], a[1], a[2], a[3], -1, 0);
      case Kind::munmap:
        return raw_syscall(__NR_munmap, a[0], a[1]);
      case Kind::mprotect:
        return raw_syscall(__NR_mprotect, a[0], a[1], a[2]);
      case Kind::pkey_mprotect:
        return raw_syscall(__NR_pkey_mprotect, a[0], a[1], a[2], a[3]);
      case Kind::madvise:
        return raw_syscall(__NR_madvise, a[0], a[1], a[2]);
      case Kind::mremap:
        return raw_syscall(__NR_mremap, a[0], a[1], a[2], a[3], a[4]);
      case Kind::remap_file_pages:
        return raw_syscall(__NR_remap_file_pages, a[0], a[1], a[2], a[3], a[4]);
      case Kind::shmat:
        return raw_syscall(__NR_shmat, segment_, a[1], a[2]);
      case Kind::shmdt:
        return raw_syscall(__NR_shmdt, a[0]);
      case Kind::mseal:
        return seal(a[0], a[1]);
      case Kind::fresh:
        if (!sealed_[a[0]]) fresh(static_cast<int>(a[0]));
        return 0;
      case Kind::fork:
        break;
    }
    return 0;
  }

  long seal(std::uint64_t at, std::uint64_t size) {
    if (mseal(reinterpret_cast<void*>(at), size, 0) != 0) return -errno;
    for (std::uint64_t page = at; page < at + size; page += kPage) sealed_[(page - kArena) / kPage] = true;
    return 0;
  }

  // Memory that a fork leaves out (MADV_DONTFORK, which seals of writable memory allow) is a hole in the
  // child: the kernel's seal is gone with it, ours stays. So none is left out.
  void go_on_in_child() {
    for (int page = 0; page < kPages; ++page)
      (void)raw_syscall(__NR_madvise, address(page), kPage, MADV_DOFORK);
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0) std::abort();
    if (child == 0) {
      other_ =
          new OtherThread;  // a fork takes the calling thread only; the old object's is gone with its state
      return;
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }

  static std::string text_of(long result) {
    if (result >= static_cast<long>(kArena) && result < static_cast<long>(kArena + kPages * kPage)) {
      return "page " + std::to_string((static_cast<std::uint64_t>(result) - kArena) / kPage);
    }
    return std::to_string(result);
  }

  // Two characters a page: protection and first byte ("__" not mapped, "?" not readable).
  [[nodiscard]] std::string state(bool only_sealed) const {
    std::array<char, kPages> protection;
    protection.fill('_');
    std::ifstream maps("/proc/self/maps");
    const Range arena{kArena, kArena + kPages * kPage};
    for (std::string line; std::getline(maps, line);) {
      const auto vma = policy::parse_maps_line(line);
      if (!vma || !vma->range.touches(arena)) continue;
      const Range part = intersection(vma->range, arena);
      const int bits = (vma->readable ? 1 : 0) + (vma->writable ? 2 : 0) + (vma->executable ? 4 : 0) +
                       (vma->shared ? 8 : 0);
      for (std::uint64_t page = part.start; page < part.end; page += kPage) {
        protection[(page - kArena) / kPage] = "0123456789abcdef"[bits];
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

  int segment_;
  OtherThread* other_;  // lives as long as the process
  std::array<bool, kPages> sealed_{};
  bool touches_ = false;
  std::array<bool, kPages> named_{};  // pages that the present call names
};

}  // namespace
}  // namespace libmseal::tests

int main(int count, char** arguments) {
  using namespace libmseal::tests;
  if (count != 2) return 2;
  std::ifstream file(arguments[1]);
  Twin twin;
  int number = 0;
  for (std::string line; std::getline(file, line); ++number) {
    const auto operation = parse_line(line);
    if (!operation) return 2;
    twin.step(number, *operation);
  }
  return 0;
}
