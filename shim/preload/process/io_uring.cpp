#include "shim/preload/process/io_uring.h"

#include <linux/kcmp.h>

#include <algorithm>
#include <cerrno>

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

// The size of the table of descriptors, or -errno.
long descriptor_slots() {
  long slots = -EIO;
  const ProcRoot proc;
  const long read = visit_status(proc, ProcPath("self/status"), [&](std::string_view line) {
    std::string_view size = after_key(line, "FDSize:");
    if (size.empty()) return true;
    while (size.starts_with('\t')) size.remove_prefix(1);
    slots = leading_number(size);
    return false;
  });
  return read != 0 ? read : slots;
}

// For a process with one thread whose list of descriptors is hidden, as by an AppArmor profile. Only a ring
// answers otherwise than EBADF and EOPNOTSUPP (io_uring/register.c). Not under filters: one might kill for
// the call, or answer instead of the kernel.
long has_descriptor_by_trial() {
  constexpr unsigned kProbe = 8;  // IORING_REGISTER_PROBE, here without a place for the result
  if (has_filters()) return -EACCES;
  const long slots = descriptor_slots();
  for (long descriptor = 0; descriptor < slots; ++descriptor) {
    const long answer = raw_syscall(__NR_io_uring_register, descriptor, kProbe, 0, 0);
    if (answer == -ENOSYS) return 0;
    if (answer == -EPERM) return answer;
    if (answer != -EBADF && answer != -EOPNOTSUPP) return 1;
  }
  return std::min(slots, 0L);
}

bool rings_do_not_matter(const policy::Options& options) {
  return (options.open_calls & policy::kBlockedIoUring) != 0 || options.audit;
}

}  // namespace

long look_for_io_uring_descriptor(const policy::Options& options) {
  if (rings_do_not_matter(options)) return 0;
  const long found = has_descriptor();
  return found == -EACCES || found == -EPERM ? has_descriptor_by_trial() : found;
}

long look_for_io_uring(const policy::Options& options) {
  if (rings_do_not_matter(options)) return 0;
  for (const auto look : {has_descriptor, has_mapping, has_worker})
    if (const long result = look(); result != 0) return result;
  return 0;
}

}  // namespace libmseal::shim
