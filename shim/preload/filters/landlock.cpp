#include "shim/preload/filters/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstdint>

#include "policy/parsers/mount_line.h"
#include "shim/common/directory.h"
#include "shim/common/line_reader.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/process/threads.h"

namespace libmseal::shim {
namespace {

// In version 1 of Landlock any ruleset forbids renaming from one directory to another.
constexpr long kLeastVersion = 2;
constexpr std::uint64_t kWrite = LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t kRefer = 1ULL << 13;  // LANDLOCK_ACCESS_FS_REFER, in the headers since 5.19

long allow_below(long rules, long root, const char* name) {
  const long entry = raw_syscall(__NR_openat, root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (failed(entry)) return entry == -ENOENT ? 0 : entry;
  landlock_path_beneath_attr rule{};
  rule.parent_fd = static_cast<int>(entry);
  rule.allowed_access = kWrite | kRefer;
  long result = raw_syscall(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  if (result == -EINVAL) {  // a file, not a directory
    rule.allowed_access = kWrite;
    result = raw_syscall(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  }
  (void)raw_syscall(__NR_close, entry);
  return result == -EBADFD ? 0 : result;  // has no path on a file system, such as a symbolic link
}

long allow_all_but_proc(long rules) {
  const long root = raw_syscall(__NR_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (failed(root)) return root;
  const long result = for_each_entry(root, [&](const char* name) -> long {
    return std::string_view(name) == "proc" ? 0 : allow_below(rules, root, name);
  });
  (void)raw_syscall(__NR_close, root);
  return result;
}

bool has_other_threads() {
  const long self = raw_syscall(__NR_gettid);
  return for_each_thread([self](const Thread& thread) -> long { return thread.id() == self ? 0 : 1; }) != 0;
}

bool proc_is_mounted_elsewhere() {
  bool found = false;
  const long read = read_lines("/proc/self/mountinfo", [&](std::string_view line) {
    found = policy::mounts_proc_elsewhere(line);
    return !found;
  });
  return found || read != 0;
}

long restrict_self(long rules) {
  const long result = raw_syscall(__NR_landlock_restrict_self, rules, 0);
  if (result != -EPERM || raw_syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return result;
  return raw_syscall(__NR_landlock_restrict_self, rules, 0);
}

}  // namespace

bool writing_proc_is_forbidden() {
  // A process that is not dumpable can't open its own files of /proc for another reason.
  if (raw_syscall(__NR_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) != 1) return false;
  const long file = raw_syscall(__NR_openat, AT_FDCWD, "/proc/self/mem", O_WRONLY | O_CLOEXEC);
  if (!failed(file)) (void)raw_syscall(__NR_close, file);
  return file == -EACCES;
}

std::string_view forbid_writing_proc() {
  const long version = raw_syscall(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < kLeastVersion)
    return "it needs Landlock of Linux 5.19 or later, enabled at boot (lsm=landlock,...)";
  if (has_other_threads()) return "the program has threads already, which Landlock would not restrict";
  if (proc_is_mounted_elsewhere()) return "a second procfs is mounted elsewhere than on /proc";
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = kWrite | kRefer;
  const long rules = raw_syscall(__NR_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0);
  if (failed(rules)) return "Landlock does not accept a ruleset";
  long result = allow_all_but_proc(rules);
  if (result == 0) result = restrict_self(rules);
  (void)raw_syscall(__NR_close, rules);
  if (result == -E2BIG) return "16 Landlock rulesets are in force already";
  return result == 0 ? "" : "Landlock does not accept the rules";
}

}  // namespace libmseal::shim
