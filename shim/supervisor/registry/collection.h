// Forgets processes that have ended, and images without processes.
#pragma once

#include "shim/supervisor/registry/identification.h"
#include "shim/supervisor/registry/images.h"
#include "shim/supervisor/registry/inherited_filters.h"
#include "shim/supervisor/registry/newcomers.h"

namespace libmseal::supervisor {

// False, with nothing forgotten, if it can't be proved that they have ended. Inspects every process.
[[nodiscard]] bool forget_ended(Images& images, const Identification& identification, Newcomers& newcomers,
                                InheritedFilters& filters);

}  // namespace libmseal::supervisor
