// A proof that can't fail proves nothing: broken programs, made by hand from right ones as a broken compiler
// would have written them, must be found out.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/proof/examination.h"

namespace libmseal::tests {
namespace {

using Mutate = bool (*)(sock_filter&);

// The carry of the 64-bit sum is dropped.
bool drop_carry(sock_filter& one) {
  if (one.code != (BPF_ALU | BPF_ADD | BPF_K) || one.k != 1) return false;
  one.k = 0;
  return true;
}
// > for >= at a boundary.
bool greater_for_at_least(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGE | BPF_K) || one.k < kPage) return false;
  one.code = BPF_JMP | BPF_JGT | BPF_K;
  return true;
}
// >= for > where the sum is compared with the end of a gap.
bool at_least_for_greater(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGT | BPF_K) || one.k % kPage != 0 || one.k == 0) return false;
  one.code = BPF_JMP | BPF_JGE | BPF_K;
  return true;
}
// A boundary is one page off.
bool boundary_off_by_a_page(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGE | BPF_K) || one.k < kPage) return false;
  one.k += kPage;
  return true;
}
// Tag bits stay in the address.
bool keep_tags(sock_filter& one) {
  if (one.code != (BPF_ALU | BPF_AND | BPF_K) ||
      one.k != static_cast<std::uint32_t>(policy::kX86Machine.address_mask >> 32)) {
    return false;
  }
  one.k = ~0U;
  return true;
}
// One advice is forgotten.
bool forget_an_advice(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JEQ | BPF_K) || one.k != 8) return false;
  one.k = 0xFFFF;
  return true;
}
// An unaligned range counts, which the kernel refuses.
bool forget_alignment(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JSET | BPF_K) || one.k != kPage - 1) return false;
  one.k = 0;
  return true;
}
// A range ends a page later.
bool end_off_by_a_page(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGT | BPF_K) || one.k % kPage != kPage - 1) return false;
  one.k += kPage;
  return true;
}
// MAP_FIXED_NOREPLACE is taken for MAP_FIXED.
bool replace_without_replacing(sock_filter& one) {
  if (one.code == (BPF_ALU | BPF_AND | BPF_K) && one.k == (policy::kMapFixed | policy::kMapFixedNoreplace)) {
    one.k = policy::kMapFixed;
    return true;
  }
  if (one.code != (BPF_JMP | BPF_JSET | BPF_K) || one.k != policy::kMapFixedNoreplace) return false;
  one.k = 0;
  return true;
}

// The upper half of a register is read though the ABI has short ones.
bool read_upper_half(sock_filter& one) {
  if (one.code != (BPF_LD | BPF_IMM) || one.k != 0) return false;
  one = {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args) + 4};
  return true;
}
// PROT_GROWSDOWN is not looked for.
bool forget_growsdown(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JSET | BPF_K) || one.k != policy::kProtGrowsDown) return false;
  one.k = 0;
  return true;
}
// A mremap to a chosen place is decided about like any other.
bool forget_to_delegate_a_target(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JSET | BPF_K) || one.k != policy::kMremapFixed) return false;
  one.k = 0;
  return true;
}
// A range that crosses a multiple of 4 GiB is decided about here.
bool forget_to_delegate_wide_ranges(sock_filter& one) {
  if (one.code != (BPF_JMP | BPF_JGE | BPF_X)) return false;
  one.jf = one.jt;
  return true;
}

struct Mutant {
  const char* name;
  Mutate mutate;
};

constexpr Mutant kMutants[] = {
    {"drop the carry", drop_carry},
    {"> for >=", greater_for_at_least},
    {">= for >", at_least_for_greater},
    {"a boundary off by a page", boundary_off_by_a_page},
    {"an end off by a page", end_off_by_a_page},
    {"forget the alignment", forget_alignment},
    {"keep the tag bits", keep_tags},
    {"forget an advice", forget_an_advice},
    {"take NOREPLACE for FIXED", replace_without_replacing},
    {"read an upper half", read_upper_half},
    {"forget PROT_GROWSDOWN", forget_growsdown},
    {"forget to delegate a target", forget_to_delegate_a_target},
    {"forget to delegate wide ranges", forget_to_delegate_wide_ranges},
};

// The mutants that are found out. Not every one can be made of every program, nor is it wrong in every one.
std::set<std::string> find_mutants(const Shape& shape, Kind kind) {
  auto program = std::make_unique<BpfProgram>();
  compile_into(*program, policy::kX86Machine, shape, kind);
  const std::vector<sock_filter> right(program->instructions().begin(), program->instructions().end());
  std::set<std::string> all_found;
  for (const Mutant& mutant : kMutants) {
    bool found = false;
    for (std::size_t at = 0; at < right.size() && !found; ++at) {
      std::vector<sock_filter> broken = right;
      if (!mutant.mutate(broken[at])) continue;
      for (const policy::Abi& abi : policy::kX86Machine.abis) {
        for (std::size_t index = 0; index < abi.calls.size() && !found; ++index) {
          found = examine(broken, policy::kX86Machine, abi, abi.calls[index], shape, kind) != Finding::none;
        }
      }
    }
    if (found) all_found.insert(mutant.name);
  }
  return all_found;
}

TEST_CASE("proof: every broken program is found out") {
  using Names = std::set<std::string>;
  const Range low{0x7FFF'F000'1000, 0x7FFF'F000'5000};
  const Range across{0x7FFF'FFF0'0000, 0x8000'0000'1000};
  Names all;
  for (const Mutant& mutant : kMutants) all.insert(mutant.name);
  CHECK(find_mutants({{low, across}, {low}}, Kind::alone) == all);
  // The first filter, with something for short registers.
  Names without_carry = all;  // a sum that has one is somebody else's
  without_carry.erase("drop the carry");
  const Range small{0x10000, 0x20000};
  CHECK(find_mutants({{small, low, across}, {small, low}, {{0x7FFE'0000'0000, 0x7FFE'0001'0000}}},
                     Kind::first) == without_carry);
  // The short program of one seal, where an address taken for one before the range still ends behind its
  // start.
  CHECK(find_mutants({{low}, {low}}, Kind::delegating) ==
        Names{">= for >", "an end off by a page", "forget the alignment", "keep the tag bits",
              "forget an advice", "take NOREPLACE for FIXED"});
  CHECK(find_mutants(many_under_one_word(), Kind::delegating) ==
        Names{"> for >=", ">= for >", "a boundary off by a page", "forget the alignment", "keep the tag bits",
              "forget an advice", "take NOREPLACE for FIXED"});
}

}  // namespace
}  // namespace libmseal::tests
