#include "shim/supervisor/required_library.h"

#include <algorithm>

#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {

bool would_lose_library(Proc& proc, const Caller& caller, Registry& registry) {
  if (!caller.foreign()) return false;
  const std::vector<Fence> filters = registry.inherited_filters(caller);
  bool has_library = false;
  bool meets_filter = false;
  (void)visit_maps(proc, caller.task, [&](const policy::Vma& vma) {
    has_library = has_library || vma.name.substr(vma.name.rfind('/') + 1).starts_with("libmseal.so");
    const auto touches = [&](const Fence& one) { return one.range.touches(vma.range); };
    meets_filter = meets_filter || std::ranges::any_of(filters, touches);
    return !has_library || !meets_filter;
  });
  return has_library && meets_filter;
}

}  // namespace libmseal::supervisor
