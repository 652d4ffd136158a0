// The verdict on a memory call.
#pragma once

#include <cstdint>

#include "policy/rules/mm_call.h"
#include "policy/rules/verdict.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/registry.h"

namespace libmseal::supervisor {

class Judge {
 public:
  // `usual_huge_page`: kernel_sizes.h. `early_process`: a process that ran before the first filter; 0: none.
  Judge(Proc& proc, std::uint64_t usual_huge_page, pid_t early_process);

  // To be called for every memory call, before the verdict on it.
  void note_huge_pages(const policy::MmCall& call);
  // Whether the call touches nothing that any process has sealed.
  [[nodiscard]] bool allows_everybody(const policy::MmCall& call, const Registry& registry) const;
  [[nodiscard]] policy::Verdict decide(const policy::MmCall& call, const Caller& caller,
                                       Registry& registry) const;

 private:
  [[nodiscard]] bool moves_no_huge_pages(const policy::MmCall& mremap, const Caller& caller,
                                         Registry& registry) const;

  Proc& proc_;
  std::uint64_t usual_huge_page_;
  // The largest huge page that a process of the tree may have, where that matters (verdict.h).
  std::uint64_t huge_page_ = 0;
};

}  // namespace libmseal::supervisor
