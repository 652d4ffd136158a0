#include "shim/preload/helper.h"

#include <fcntl.h>
#include <unistd.h>

#include "shim/common/raw_syscall.h"
#include "shim/preload/text.h"

namespace libmseal::shim {
namespace {

constexpr std::string_view kHelperName = "mseal-supervisor";

bool runnable(const State& state) {
  return raw_syscall(__NR_faccessat, AT_FDCWD, state.helper.data(), X_OK) == 0;
}

}  // namespace

void find_helper(State& state) {
  if (!state.options.helper.empty()) {
    (void)copy_text(state.helper, {state.options.helper});
    return;
  }
  const std::size_t slash = state.own_path.rfind('/');
  std::string_view directory = state.own_path;
  directory.remove_suffix(slash == std::string_view::npos ? directory.size() : directory.size() - slash - 1);
  if (copy_text(state.helper, {directory, kHelperName}) && runnable(state)) return;
  (void)copy_text(state.helper, {directory, LIBMSEAL_HELPER_DIRECTORY, kHelperName});
}

}  // namespace libmseal::shim
