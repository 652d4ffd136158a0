// Forgets processes that have ended, and images that no process belongs to any more.
#pragma once

#include <list>

#include "shim/supervisor/identification.h"
#include "shim/supervisor/image.h"
#include "shim/supervisor/inherited_filters.h"
#include "shim/supervisor/newcomers.h"

namespace libmseal::supervisor {

// If that is proved: false, and nothing forgotten, if it is not. Takes a look at everybody.
[[nodiscard]] bool forget_ended(std::list<Image>& images, const Identification& identification,
                                Newcomers& newcomers, InheritedFilters& filters);

}  // namespace libmseal::supervisor
