#include "shim/preload/process/ancestors.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

#include "policy/rules/abi.h"
#include "policy/rules/fixed_vector.h"
#include "shim/common/maps_reader.h"
#include "shim/common/proc_root.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/process/other_filters.h"
#include "shim/preload/state/own_filters.h"

namespace libmseal::shim {
namespace {

// A mark is read by mseal with this as its fourth argument and flags that no kernel accepts.
constexpr std::uint32_t kMarkMagic = 0x6D61726B;
constexpr long kMarked = -EALREADY;

// Messages printed by ancestors or this process. Their marks may not be installed yet, or be hidden by a
// filter of the library.
constinit policy::FixedVector<std::uint32_t, 16> g_said;

std::uint32_t flags_of(Notice notice, std::uint32_t detail) {
  return static_cast<std::uint32_t>(notice) << 24 | (detail & 0xFFFFFF);
}

bool answers(std::uint32_t flags) {
  return !own_filters_kill(Work::message) &&
         raw_syscall(policy::kMsealNumber, 0, 0, flags, kMarkMagic, 0, 0) == kMarked;
}

bool has_said(std::uint32_t flags) {
  return std::ranges::find(g_said, flags) != g_said.end();
}

bool said(std::uint32_t flags) {
  if (has_said(flags)) return true;
  const bool marked = answers(flags);
  if (marked) (void)g_said.push_back(flags);
  return marked;
}

// Before the backend has started, other filters may kill for seccomp(2).
bool may_install(const State& state) {
  if (own_filters_kill(Work::filtering)) return false;
  if (uses_filters(state.backend) || g_is_in_tree) return true;
  return raw_syscall(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) == 0;
}

// Does not set no_new_privs for a mark: EACCES if that would be needed.
long install_mark(std::uint32_t flags) {
  std::array<sock_filter, 8> mark{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, policy::kMsealNumber, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[3])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMarkMagic, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, flags, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(-kMarked)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(mark.size()), mark.data()};
  return raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
                     SECCOMP_FILTER_FLAG_TSYNC | kTsyncEsrch | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
}

// Whether the error is temporary.
bool passes(long error) {
  switch (error < 0 ? -error : error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EFBIG:
    case ETIMEDOUT:
    case ESRCH:  // a thread has filters of its own
      return true;
    default:
      return false;
  }
}

// libmseal.so for /usr/lib/libmseal.so.0: LD_PRELOAD may name a symbolic link, but maps shows the file. Also
// for a file that an upgrade has replaced ("libmseal.so.0 (deleted)").
std::string_view plain_name(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);  // npos + 1 is 0
  constexpr std::string_view kSuffix = ".so";
  const std::size_t suffix = path.find(kSuffix);
  return suffix == std::string_view::npos ? path : path.substr(0, suffix + kSuffix.size());
}

}  // namespace

void look_for_marks() {
  for (const policy::Backend backend :
       {policy::Backend::libc, policy::Backend::filters, policy::Backend::supervised})
    (void)said(flags_of(Notice::weaker_backend, static_cast<std::uint32_t>(backend)));
  (void)said(flags_of(Notice::unwritten_events, 0));
}

bool first_in_tree(const State& state, Notice notice, std::uint32_t detail, long error) {
  const std::uint32_t flags = flags_of(notice, detail);
  if (state.is_barred() ? has_said(flags) : said(flags)) return false;
  (void)g_said.push_back(flags);
  if (may_install(state) && install_mark(flags) == 0) return true;
  return passes(error) || !parent_is_under_library(state);
}

void leave_marks(const State& state) {
  for (const std::uint32_t flags : g_said) {
    if (may_install(state) && !answers(flags)) (void)install_mark(flags);
  }
}

std::uint32_t detail_of(std::string_view text) {
  std::uint32_t hash = 2166136261;  // FNV-1a
  for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 16777619;
  return hash ^ hash >> 24;
}

bool parent_is_under_library(const State& state) {
  if (state.own_path.empty()) return false;
  const std::string_view name = plain_name(state.own_path);
  bool under = false;
  const ProcPath maps(raw_syscall(__NR_getppid), "maps");
  (void)read_maps(ProcRoot().open(maps), [&](const policy::Vma& vma) {
    under = vma.inode != 0 && plain_name(vma.name) == name;
    return !under;
  });
  return under;
}

}  // namespace libmseal::shim
