// The options of the first program that apply to its whole tree.
#pragma once

#include "policy/configuration/options.h"

namespace libmseal::policy {

struct TreeOptions {
  bool covers_all = false;   // the supervisor is notified of every memory call
  bool audits = false;       // refuse nothing, record what enforce would refuse
  bool wants_sites = false;  // record refusals with their call sites
};

inline TreeOptions tree_options(const Options& options) {
  return {options.covers_all || options.audit, options.audit,
          options.audit || !options.events.empty() || !options.log.empty()};
}

}  // namespace libmseal::policy
