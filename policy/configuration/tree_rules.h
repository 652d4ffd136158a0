// What the options of the first program mean for its whole tree.
#pragma once

#include "policy/configuration/options.h"

namespace libmseal::policy {

struct TreeRules {
  bool covers_all = false;   // every call is reported to the supervisor
  bool audits = false;       // nothing is refused: what would have been is recorded
  bool wants_sites = false;  // refusals are recorded, with the place in the program that they come from
};

inline TreeRules tree_rules(const Options& options) {
  return {options.covers_all || options.audit, options.audit,
          options.audit || !options.events.empty() || !options.log.empty()};
}

}  // namespace libmseal::policy
