#include "shim/preload/supervisor/supervisor_program.h"

#include <fcntl.h>
#include <unistd.h>

#include "shim/common/raw_syscall.h"
#include "shim/preload/messages/text.h"

namespace libmseal::shim {
namespace {

constexpr std::string_view kSupervisorName = "mseal-supervisor";

bool runnable(const State& state) {
  return raw_syscall(__NR_faccessat, AT_FDCWD, state.supervisor_path.data(), X_OK) == 0;
}

}  // namespace

void find_supervisor(State& state) {
  if (!state.options.supervisor.empty()) {
    (void)copy_text(state.supervisor_path, {state.options.supervisor});
    return;
  }
  const std::size_t slash = state.own_path.rfind('/');
  std::string_view directory = state.own_path;
  directory.remove_suffix(slash == std::string_view::npos ? directory.size() : directory.size() - slash - 1);
  if (copy_text(state.supervisor_path, {directory, kSupervisorName}) && runnable(state)) return;
  (void)copy_text(state.supervisor_path, {directory, LIBMSEAL_SUPERVISOR_DIRECTORY, kSupervisorName});
}

}  // namespace libmseal::shim
