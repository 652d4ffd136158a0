#include "shim/preload/process/printed_notices.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>

#include "policy/bpf/answer_filter.h"
#include "policy/rules/abi.h"
#include "policy/rules/fixed_vector.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/seccomp_flags.h"
#include "shim/preload/process/parent.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

// A notice filter is asked by mseal with this as its fourth argument and flags that no kernel accepts.
constexpr std::uint32_t kNoticeMagic = 0x6D61726B;
constexpr long kPrinted = -EALREADY;

// Messages printed by ancestors or this process. Their filters may not be installed yet, or be hidden
// by one of the library.
constinit policy::FixedVector<std::uint32_t, 16> g_printed;

std::uint32_t flags_of(Notice notice, std::uint32_t detail) {
  return static_cast<std::uint32_t>(notice) << 24 | (detail & 0xFFFFFF);
}

bool has_filter_of(std::uint32_t flags) {
  return !program_filters_kill(Purpose::message) &&
         raw_syscall(policy::kMsealNumber, 0, 0, flags, kNoticeMagic, 0, 0) == kPrinted;
}

bool is_noted(std::uint32_t flags) {
  return std::ranges::find(g_printed, flags) != g_printed.end();
}

bool is_printed(std::uint32_t flags) {
  if (is_noted(flags)) return true;
  const bool printed = has_filter_of(flags);
  if (printed) (void)g_printed.push_back(flags);
  return printed;
}

// Before the backend has started, other filters may kill callers of seccomp(2).
bool may_install(const State& state) {
  if (program_filters_kill(Purpose::filtering)) return false;
  if (uses_filters(state.backend) || state.earlier_filters.are_of_tree) return true;
  return raw_syscall(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) == 0;
}

// Does not set no_new_privs for it: EACCES if that would be needed.
long install_notice_filter(std::uint32_t flags) {
  auto notice = policy::answer_filter({{policy::kNumberField, policy::kMsealNumber},
                                       {policy::low_of(3), kNoticeMagic},
                                       {policy::low_of(2), flags}},
                                      SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(-kPrinted));
  const sock_fprog program{static_cast<unsigned short>(notice.size()), notice.data()};
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

}  // namespace

void look_for_notices() {
  for (const policy::Backend backend :
       {policy::Backend::libc, policy::Backend::filters, policy::Backend::supervised})
    (void)is_printed(flags_of(Notice::weaker_backend, static_cast<std::uint32_t>(backend)));
  (void)is_printed(flags_of(Notice::unwritten_events, 0));
}

bool first_in_tree(const State& state, Notice notice, std::uint32_t detail, long error) {
  const std::uint32_t flags = flags_of(notice, detail);
  if (state.is_barred() ? is_noted(flags) : is_printed(flags)) return false;
  (void)g_printed.push_back(flags);
  if (may_install(state) && install_notice_filter(flags) == 0) return true;
  return passes(error) || !parent_is_under_library(state);
}

void leave_notices(const State& state) {
  for (const std::uint32_t flags : g_printed) {
    if (may_install(state) && !has_filter_of(flags)) (void)install_notice_filter(flags);
  }
}

std::uint32_t detail_of(std::string_view text) {
  std::uint32_t hash = 2166136261;  // FNV-1a
  for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 16777619;
  return hash ^ hash >> 24;
}

}  // namespace libmseal::shim
