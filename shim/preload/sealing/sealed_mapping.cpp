#include "shim/preload/sealing/sealed_mapping.h"

#include <sys/mman.h>

#include <cerrno>

#include "shim/common/raw_syscall.h"
#include "shim/preload/memory/sealed_area.h"
#include "shim/preload/sealing/sealing.h"

namespace libmseal::shim {
namespace {

// Calls `call` with the real length of the mapping. The kernel rounds it up for huge pages, a part of which
// can be neither sealed nor unmapped (EINVAL).
template <class Call>
long with_whole_pages(const State& state, std::uint64_t length, Call call) {
  long result = call(length);
  for (const std::uint64_t size : state.machine.huge_pages) {
    if (result == -EINVAL) result = call(policy::round_up(length, size));
  }
  return result;
}

long map_then_seal(State& state, const policy::Arguments& arguments) {
  // In some places both calls go to the supervisor, and a signal may interrupt the wait for it.
  const long mapped = uninterrupted_syscall(__NR_mmap, arguments[0], arguments[1], arguments[2], arguments[3],
                                            arguments[4], arguments[5]);
  if (failed(mapped)) return mapped;
  const long sealed = with_whole_pages(state, arguments[1], [&](std::uint64_t length) {
    return seal(state, static_cast<std::uint64_t>(mapped), length);
  });
  if (sealed == 0) return mapped;
  (void)with_whole_pages(state, arguments[1], [&](std::uint64_t length) {
    return uninterrupted_syscall(__NR_munmap, mapped, length);
  });
  return sealed;
}

bool may_go_anywhere(std::uint32_t flags) {
#ifdef MAP_32BIT
  if ((flags & MAP_32BIT) != 0) return false;
#endif
  // With it, the kernel refuses flags that the file does not support, such as MAP_FIXED_NOREPLACE, which the
  // window needs.
  if ((flags & MAP_TYPE) == MAP_SHARED_VALIDATE) return false;
  return (flags & (policy::kMapFixed | policy::kMapFixedNoreplace | policy::kMapHugetlb | MAP_GROWSDOWN)) ==
         0;
}

}  // namespace

long map_sealed(State& state, const policy::Arguments& arguments) {
  const auto flags = static_cast<std::uint32_t>(arguments[3]);
  if (const long error = start_backend_for_sealed_mappings(state); error != 0) return error;
  const bool shared = (flags & MAP_TYPE) == MAP_SHARED || (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
  const bool kept = (arguments[2] & PROT_WRITE) == 0 && !shared;
  // Under this rule the contents of a file are not kept, but those of /dev/zero are: only the mapping shows
  // which it is.
  const bool unclear =
      kept && (flags & MAP_ANONYMOUS) == 0 && state.options.discard == policy::DiscardRule::kernel;
  const Window window = kept ? Window::protected_contents : Window::other_contents;
  if (unclear || !may_go_anywhere(flags) || !has_window(state, window))
    return map_then_seal(state, arguments);
  // A program may have mapped all of the window before the library started, as sanitizers do.
  const long mapped = map_in_window(state, window, arguments);
  return mapped == -ENOMEM ? map_then_seal(state, arguments) : mapped;
}

long map_sealable(State& state, const policy::Arguments& arguments) {
  if (!may_go_anywhere(static_cast<std::uint32_t>(arguments[3]))) return 0;
  if (start_backend_if_needed(state) != 0 || !has_window(state, Window::sealable)) return 0;
  const long mapped = map_in_window(state, Window::sealable, arguments);
  return mapped == -ENOMEM ? 0 : mapped;  // the window may be used up
}

}  // namespace libmseal::shim
