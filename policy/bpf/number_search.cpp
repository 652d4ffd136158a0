#include "policy/bpf/number_search.h"

namespace libmseal::policy {

BpfProgram::Label search_number(std::span<const NumberHandler> handlers, BpfProgram::Label other,
                                BpfProgram& program) {
  constexpr std::size_t kFew = 3;  // one comparison each is shorter than halving
  if (handlers.size() > kFew) {
    const std::size_t middle = handlers.size() / 2;
    const auto below = search_number(handlers.first(middle), other, program);
    const auto above = search_number(handlers.subspan(middle), other, program);
    return program.branch(BPF_JGE, handlers[middle].number, above, below);
  }
  auto next = other;
  for (std::size_t index = handlers.size(); index > 0; --index) {
    next = program.branch(BPF_JEQ, handlers[index - 1].number, handlers[index - 1].label, next);
  }
  return next;
}

}  // namespace libmseal::policy
