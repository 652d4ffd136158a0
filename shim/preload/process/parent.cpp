#include "shim/preload/process/parent.h"

#include <sys/prctl.h>

#include <string_view>

#include "policy/parsers/text.h"
#include "shim/common/maps_reader.h"
#include "shim/common/proc_root.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

// libmseal.so for /usr/lib/libmseal.so.0: LD_PRELOAD may name a symbolic link, but maps shows the file. Also
// for a file that an upgrade has replaced ("libmseal.so.0 (deleted)").
std::string_view plain_name(std::string_view path) {
  const std::string_view name = policy::last_component(path);
  constexpr std::string_view kSuffix = ".so";
  const std::size_t suffix = name.find(kSuffix);
  return suffix == std::string_view::npos ? name : name.substr(0, suffix + kSuffix.size());
}

}  // namespace

bool parent_is_under_library(const State& state) {
  if (state.library_path.empty()) return false;
  const std::string_view name = plain_name(state.library_path);
  bool under = false;
  const ProcPath maps(raw_syscall(__NR_getppid), "maps");
  (void)read_maps(ProcRoot().open(maps), [&](const policy::Vma& vma) {
    under = vma.inode != 0 && plain_name(vma.name) == name;
    return !under;
  });
  return under;
}

bool is_subreaper() {
  int is_one = 1;
  return program_filters_kill(Purpose::launching) ||
         failed(raw_syscall(__NR_prctl, PR_GET_CHILD_SUBREAPER, &is_one)) || is_one != 0;
}

}  // namespace libmseal::shim
