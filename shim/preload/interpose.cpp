// libc's functions that change mappings, prctl() and syscall().
//
// With filters the kernel refuses calls, so these functions only make the system call; a refused madvise may
// still be allowed by protection keys. Only under the backend `libc`, which has no filter, they check the
// local seals first, and in audits they send the call site first. Must be async-signal-safe.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>

#include "mseal/mseal.h"
#include "policy/rules/verdict.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/libc/libc_result.h"
#include "shim/preload/memory/load_ranges.h"
#include "shim/preload/memory/protection_keys.h"
#include "shim/preload/memory/sealed_area.h"
#include "shim/preload/sealing/sealed_mapping.h"
#include "shim/preload/sealing/sealing.h"
#include "shim/preload/state/program_filters.h"
#include "shim/preload/state/state.h"
#include "shim/preload/supervisor/call_sites.h"

namespace libmseal::shim {
namespace {

// Makes the call under the backend `libc` and in audits, which have to check it first.
long looked_at_first(const State& state, long number, const policy::Arguments& a, Site site) {
  if (state.is_not_audited) return raw_syscall(number, a);
  if (state.backend == policy::Backend::libc) {
    const policy::MmCall call =
        policy::decode(state.machine, state.machine.abis[0], static_cast<std::uint32_t>(number), a);
    const policy::Verdict verdict = state.local_seals->consult(
        [&](std::span<const policy::Seal> seals) { return policy::decide(call, {seals}); });
    if (verdict == policy::Verdict::answer_zero) return 0;
    // The libc backend does not find out where huge pages are.
    if (verdict != policy::Verdict::allow) return -EPERM;
  } else {
    announce_call(state, number, a, site);
  }
  return raw_syscall(number, a);
}

long checked_syscall(Site site, long number, const policy::Arguments& a) {
  const State& state = g_state;
  const bool looks_first = state.backend == policy::Backend::libc || state.tree_options.audits;
  if (looks_first) [[unlikely]]
    return looked_at_first(state, number, a, site);
  const long result = raw_syscall(number, a);
  if (result == -EPERM && state.tree_options.wants_sites) [[unlikely]]
    report_refusal(state, number, a, site);
  return result;
}

long uninterrupted(Site site, long number, const policy::Arguments& a) {
  return repeat_if_interrupted([&] { return checked_syscall(site, number, a); });
}

template <class... Words>
policy::Arguments arguments_of(Words... words) {
  return {static_cast<std::uint64_t>(register_of(words))...};
}

template <class... Words>
long checked(Site site, long number, Words... words) {
  return uninterrupted(site, number, arguments_of(words...));
}

// Checks what filters can't: whether this thread's protection keys let it write the memory.
long checked_madvise(Site site, const policy::Arguments& a) {
  const long result = uninterrupted(site, __NR_madvise, a);
  if (result != -EPERM) [[likely]]
    return result;
  return discard_by_writing(g_state, a[0], a[1], static_cast<int>(a[2]));
}

// Handles PROT_SEAL and MAP_SEALABLE, which the kernel does not know.
long checked_mmap(Site site, policy::Arguments a) {
  const bool sealed = (a[2] & PROT_SEAL) != 0;
  // With MAP_HUGETLB that bit is part of the encoded size (MAP_HUGE_SHIFT,
  // include/uapi/asm-generic/hugetlb_encode.h).
  const bool sealable = (a[3] & (MAP_SEALABLE | MAP_HUGETLB)) == MAP_SEALABLE;
  if (sealed || sealable) [[unlikely]] {
    a[2] &= ~std::uint64_t{PROT_SEAL};
    if (sealable) a[3] &= ~std::uint64_t{MAP_SEALABLE};
    if (sealed) return map_sealed(started(), a);
    if (const long mapped = map_sealable(started(), a); mapped != 0) return mapped;
  }
  a[0] = hint_outside_windows(g_state, a[0], a[1], a[3]);
  if (g_state.backend == policy::Backend::supervised && !g_state.tree_options.covers_all)
    a[0] = moved_hint(a[0], a[3]);
  return uninterrupted(site, __NR_mmap, a);
}

// The option of prctl may make this process the parent of others' children.
void note_subreaper(int option, long value) {
  if (option == PR_SET_CHILD_SUBREAPER && value != 0) g_state.may_adopt = true;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

void* mmap(void* addr, size_t length, int prot, int flags, int fd, off_t offset) {
  return reinterpret_cast<void*>(libc_result(
      checked_mmap(__builtin_return_address(0), arguments_of(addr, length, prot, flags, fd, offset))));
}

__attribute__((alias("mmap"))) void* mmap64(void* addr, size_t length, int prot, int flags, int fd,
                                            off64_t offset);

int munmap(void* addr, size_t length) {
  return libc_result<int>(checked(__builtin_return_address(0), __NR_munmap, addr, length));
}

void* mremap(void* old_address, size_t old_size, size_t new_size, int flags, ...) {
  // The kernel reads the target with MREMAP_FIXED, and as a hint with MREMAP_DONTUNMAP.
  va_list rest;
  va_start(rest, flags);
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, one line up
  void* const target = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0 ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  return reinterpret_cast<void*>(libc_result(
      checked(__builtin_return_address(0), __NR_mremap, old_address, old_size, new_size, flags, target)));
}

int mprotect(void* addr, size_t len, int prot) {
  return libc_result<int>(checked(__builtin_return_address(0), __NR_mprotect, addr, len, prot));
}

int pkey_mprotect(void* addr, size_t len, int prot, int pkey) {
  // As in libc: without a key it is mprotect.
  if (pkey == -1) {
    return libc_result<int>(checked(__builtin_return_address(0), __NR_mprotect, addr, len, prot));
  }
  return libc_result<int>(checked(__builtin_return_address(0), __NR_pkey_mprotect, addr, len, prot, pkey));
}

int madvise(void* addr, size_t length, int advice) {
  return libc_result<int>(checked_madvise(__builtin_return_address(0), arguments_of(addr, length, advice)));
}

long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  policy::Arguments a;
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the same
  for (std::uint64_t& argument : a) argument = va_arg(rest, unsigned long);
  va_end(rest);
  if (number == policy::kMsealNumber) {
    if (a[2] != 0) return libc_result(-EINVAL);
    return libc_result(seal_for_program(started(), a[0], a[1]));
  }
  if (number == __NR_prctl) note_subreaper(static_cast<int>(a[0]), static_cast<long>(a[1]));
  if (number == __NR_prctl || number == __NR_seccomp) return libc_result(call_that_may_filter(number, a));
  const Site site = __builtin_return_address(0);
  if (number == __NR_mmap) return libc_result(checked_mmap(site, a));
  if (number == __NR_madvise) return libc_result(checked_madvise(site, {a[0], a[1], a[2]}));
  return libc_result(checked_syscall(site, number, a));
}

// Some options change the keys with which the processor checks return addresses.
#ifdef __aarch64__
__attribute__((target("branch-protection=none")))
#endif
int prctl(int option, ...) {
  va_list rest;
  va_start(rest, option);
  std::array<long, 6> a{option};
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the same
  for (std::size_t index = 1; index < 5; ++index) a[index] = va_arg(rest, long);
  va_end(rest);
  note_subreaper(option, a[1]);
  if (option != PR_SET_SECCOMP)
    return libc_result<int>(raw_syscall6(__NR_prctl, a[0], a[1], a[2], a[3], a[4], a[5]));
  return libc_result<int>(call_that_may_filter(__NR_prctl, arguments_of(a[0], a[1], a[2], a[3], a[4])));
}

}  // extern "C"
#pragma GCC visibility pop

}  // namespace libmseal::shim
