#include "policy/bpf/number_search.h"

namespace libmseal::policy {

BpfProgram::Label search_number(std::span<const NumberHandler> handlers, BpfProgram::Label other,
                                BpfProgram::Label beyond, BpfProgram& program) {
  constexpr std::size_t kFew = 3;  // a linear search is shorter then
  if (handlers.size() > kFew) {
    const std::size_t middle = handlers.size() / 2;
    const auto above = search_number(handlers.subspan(middle), other, beyond, program);
    const auto below = search_number(handlers.first(middle), other, other, program);
    return program.branch(BPF_JGE, handlers[middle].number, above, below);
  }
  // If a handler comes next in the program, the last comparison falls through to it, which saves a jump.
  const auto front = program.front();
  auto next = beyond;
  for (const bool is_next : {true, false}) {
    for (std::size_t index = handlers.size(); index > 0; --index) {
      const auto [number, label] = handlers[index - 1];
      if ((label == front) == is_next) next = program.branch(BPF_JEQ, number, label, next);
    }
  }
  return next;
}

}  // namespace libmseal::policy
