#include "shim/preload/process/io_uring.h"

#include <linux/kcmp.h>

#include "shim/common/killed_calls.h"
#include "shim/common/maps_reader.h"
#include "shim/preload/process/own_proc.h"
#include "shim/preload/process/threads.h"

namespace libmseal::shim {
namespace {

constexpr std::string_view kRing = "anon_inode:[io_uring]";

// Each function returns 1 if it finds one, 0 if not, or -errno.

// In any thread's table of descriptors: unshare(2) gives a thread its own table.
long has_descriptor() {
  const long self = raw_syscall(__NR_gettid);
  return for_each_thread([&](const Thread& thread) -> long {
    const bool ours = thread.id() == self;
    if (!ours) find_out_about_kcmp();
    const bool compares = !ours && !g_killed_calls.kcmp;
    if (compares && raw_syscall(__NR_kcmp, self, thread.id(), KCMP_FILES, 0, 0) == 0) return 0;
    return thread.for_each_entry("fd", [](long directory, const char* name) -> long {
      char target[64] = {};
      const long got =
          raw_syscall(__NR_readlinkat, directory, name, target, static_cast<long>(sizeof target));
      return got > 0 && std::string_view(target, static_cast<std::size_t>(got)) == kRing ? 1 : 0;
    });
  });
}

long has_mapping() {
  bool found = false;
  const long read = read_maps(open_own("maps"), [&](const policy::Vma& vma) {
    found = vma.name == kRing;
    return !found;
  });
  return failed(read) ? read : found ? 1 : 0;
}

// The kernel's submission threads (IORING_SETUP_SQPOLL) belong to the process since 5.12.
long has_worker() {
  constexpr std::uint64_t kIoWorker = 0x10;  // PF_IO_WORKER
  return for_each_thread([](const Thread& thread) -> long {
    policy::StatLine stat;
    const long got = thread.stat(stat);
    return got <= 0 ? got : (stat.flags & kIoWorker) != 0 ? 1 : 0;
  });
}

bool may_have_rings(const policy::Options& options) {
  return (options.open_calls & policy::kBlockedIoUring) != 0 || options.audit;
}

}  // namespace

long look_for_io_uring_descriptor(const policy::Options& options) {
  return may_have_rings(options) ? 0 : has_descriptor();
}

long look_for_io_uring(const policy::Options& options) {
  if (may_have_rings(options)) return 0;
  for (const auto look : {has_descriptor, has_mapping, has_worker})
    if (const long result = look(); result != 0) return result;
  return 0;
}

}  // namespace libmseal::shim
