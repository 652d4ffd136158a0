// Proofs, with Z3, that a compiled range program is right for all arguments at once: the program is run
// symbolically, every path to its end, and the solver looks for arguments that reach the wrong one.
//
//   sound:  a call that must be refused, answered or notified is
//   exact:  no other is
//
// Registers are raw: 64 free bits, whatever the kernel reads of them in that ABI.
//
// A proof that can't fail proves nothing: broken programs, made by hand from right ones, must be found out.
#include <cerrno>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "policy/bpf/blocked_calls.h"
#include "policy/bpf/range_program.h"
#include "policy/rules/mm_call.h"
#include "tests/proof/symbolic_run.h"
#include "tests/support/bpf_check.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

using policy::BpfProgram;
using policy::Call;
using policy::Range;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kAnswerZero = SECCOMP_RET_ERRNO | 0;
constexpr std::uint32_t kNotify = SECCOMP_RET_USER_NOTIF;

// What is sealed, and what is watched besides by the first filter.
struct Shape {
  std::vector<Range> ranges;
  std::vector<Range> contents;
  std::vector<Range> watched{};
  std::vector<std::uint64_t> attachments{};
  Range refused_breaks{};
  bool protection = true;
};

enum class Kind {
  alone,       // decides about everything, for there is no supervisor
  delegating,  // the filter of a seal, which leaves what is delegated to the first one
  first,       // the first filter
};

// The rule itself, written down a second time, for the solver.
class Rule {
 public:
  Rule(z3::context& context, const Input& input, const policy::Machine& machine, const policy::Abi& abi)
      : context_(context), machine_(machine) {
    for (const z3::expr& raw : input.arguments) arguments_.push_back(raw & value(abi.argument_mask));
  }

  // Must this call be refused for the ranges?
  z3::expr refuses(Call call, const std::vector<Range>& ranges, const std::vector<Range>& contents,
                   bool protection) {
    switch (call) {
      case Call::mprotect:
        return protection ? touches(argument(0), argument(1), ranges) : no();
      case Call::munmap:
        return touches(argument(0), argument(1), ranges);
      case Call::remap_file_pages: {
        const z3::expr start = stripped(0);
        const z3::expr end = start + argument(1);
        return z3::ugt(end, start) && overlaps(rounded_down(start), end, ranges);
      }
      case Call::mmap:
        return replaces() && (touches(argument(0), argument(1), ranges) || arena_touches(ranges));
      case Call::madvise:
        return discards() && touches(argument(0), argument(1), contents);
      case Call::mremap: {
        const z3::expr size = z3::ite(no_size(), value(1), argument(1));
        return touches(argument(0), size, ranges) ||
               (bit(3, policy::kMremapFixed) && touches(argument(4), argument(2), ranges));
      }
      default:
        return no();
    }
  }

  // Is it one of the calls that are left to the supervisor?
  z3::expr delegated(Call call) {
    switch (call) {
      case Call::remap_file_pages:
      case Call::shmdt:
        return yes();
      case Call::ipc:
        return ipc_is(policy::kIpcShmdt) || makes_huge_pages(call);
      case Call::shmget:
        return makes_huge_pages(call);
      case Call::mremap:
        return bit(3, policy::kMremapFixed) || no_size() || wide();
      case Call::madvise:
        return discards() && (wide() || (low(2) != word(4) && low(2) != word(8) && low(2) != word(18) &&
                                         low(2) != word(102)));
      case Call::mmap:
        return makes_huge_pages(call) ||
               (replaces() && (wide() || (!bit(3, policy::kMapAnonymous) && partly_huge(0, 1))));
      case Call::mprotect:
        return wide() || grows_down();
      case Call::munmap:
        return wide();
      default:
        return no();
    }
  }

  // Refused where nobody can look closer, though it may touch nothing.
  z3::expr extra(Call call, bool protection) {
    switch (call) {
      case Call::mprotect:
        return protection ? grows_down() : no();
      case Call::remap_file_pages:
        return rounded_down(argument(0)) != argument(0);
      case Call::mremap:
        return bit(3, policy::kMremapFixed) && (partly_huge(4, 2) || perhaps_huge());
      default:
        return makes_huge_pages(call);
    }
  }

  // What the first filter closes: the program gets EPERM for each.
  z3::expr closed(Call call) {
    switch (call) {
      case Call::old_mmap:
      case Call::io_setup:
      case Call::io_destroy:
        return yes();
      case Call::shmat:
        return bit(2, policy::kShmRemap);
      case Call::ipc:
        return ipc_is(policy::kIpcShmat) && bit(2, policy::kShmRemap);
      default:
        return no();
    }
  }

  z3::expr lowers_break(Call call, const Range& refused) {
    if (call != Call::brk || refused.empty()) return no();
    return z3::uge(argument(0), value(refused.start)) && z3::ult(argument(0), value(refused.end));
  }

  z3::expr detaches(Call call, const std::vector<std::uint64_t>& attachments) {
    if (call != Call::shmdt && call != Call::ipc) return no();
    const unsigned at = call == Call::ipc ? 4 : 0;
    z3::expr any = no();
    for (const std::uint64_t attachment : attachments) any = any || stripped(at) == value(attachment);
    return call == Call::ipc ? ipc_is(policy::kIpcShmdt) && any : any;
  }

  // What is watched may hit with any range: it is looked at again.
  z3::expr may_notify(Call call) {
    switch (call) {
      case Call::mmap:
        return replaces();
      case Call::madvise:
        return discards();
      case Call::munmap:
      case Call::mprotect:
      case Call::mremap:
        return yes();
      default:
        return no();
    }
  }

  // The program of one seal does not look at the upper word of a length: a range that wraps fails anyway.
  z3::expr wraps() { return z3::ult(stripped(0) + argument(1), argument(1)); }

  z3::expr yes() { return context_.bool_val(true); }
  z3::expr no() { return context_.bool_val(false); }

 private:
  z3::expr makes_huge_pages(Call call) {
    switch (call) {
      case Call::mmap:
        return bit(3, policy::kMapHugetlb);
      case Call::shmget:
        return bit(2, policy::kShmHugetlb);
      case Call::ipc:
        return ipc_is(policy::kIpcShmget) && bit(3, policy::kShmHugetlb);
      default:
        return no();
    }
  }
  z3::expr ipc_is(std::uint32_t operation) { return (low(0) & word(0xFFFF)) == word(operation); }
  // With PROT_GROWSUP as well the kernel refuses the call.
  z3::expr grows_down() { return bit(2, policy::kProtGrowsDown) && !bit(2, policy::kProtGrowsUp); }
  z3::expr replaces() { return bit(3, policy::kMapFixed) && !bit(3, policy::kMapFixedNoreplace); }
  z3::expr partly_huge(unsigned address, unsigned length) {
    z3::expr any = no();
    for (const std::uint64_t size : machine_.huge_pages) {
      const z3::expr mask = value(size - 1);
      any = any || ((argument(address) & mask) == value(0) && (argument(length) & mask) != value(0));
    }
    return any;
  }
  z3::expr perhaps_huge() {
    z3::expr any = no();
    for (const std::uint64_t size : machine_.huge_pages) {
      const z3::expr within = value((size - 1) & 0xFFFF'FFFF & ~(machine_.page_size - 1));
      const z3::expr alike = (argument(0) & within) == (argument(4) & within);
      const z3::expr end = (argument(0) & within) + argument(1);
      any = any || (size >> 32 != 0 ? alike : alike && (end & value(size - 1)) != value(0));
    }
    return any;
  }
  // A bpf arena goes behind the multiple of 4 GiB that it would cross.
  z3::expr arena_touches(const std::vector<Range>& ranges) {
    const z3::expr line = value(std::uint64_t{1} << 32);
    const z3::expr start = stripped(0);
    const z3::expr behind = (start + (line - value(1))) & ~(line - value(1));
    return wide() && !bit(3, policy::kMapAnonymous) && valid(argument(0), argument(1)) &&
           touches_from(behind, argument(1), ranges);
  }
  z3::expr wide() {
    const z3::expr line = value(std::uint64_t{1} << 32);
    return z3::uge(argument(1), line) || z3::uge((argument(0) & (line - value(1))) + argument(1), line);
  }
  z3::expr no_size() {
    return z3::ugt(argument(1), value(0) - value(machine_.page_size)) || argument(1) == value(0);
  }
  z3::expr rounded_down(const z3::expr& number) { return number & value(~(machine_.page_size - 1)); }
  [[nodiscard]] const z3::expr& argument(unsigned index) const { return arguments_.at(index); }
  z3::expr stripped(unsigned index) { return argument(index) & value(machine_.address_mask); }
  z3::expr value(std::uint64_t constant) { return context_.bv_val(constant, 64); }
  z3::expr word(std::uint32_t constant) { return bits(context_, constant); }
  z3::expr low(unsigned index) { return argument(index).extract(31, 0); }
  z3::expr bit(unsigned index, std::uint32_t mask) { return (low(index) & word(mask)) != word(0); }
  z3::expr discards() {
    z3::expr any = no();
    for (const std::uint32_t advice : policy::kDiscardingAdvice) any = any || low(2) == word(advice);
    return any;
  }
  z3::expr overlaps(const z3::expr& start, const z3::expr& end, const std::vector<Range>& ranges) {
    z3::expr any = no();
    for (const Range& range : ranges) {
      any = any || (z3::ult(start, value(range.end)) && z3::ugt(end, value(range.start)));
    }
    return any;
  }
  z3::expr valid(const z3::expr& address, const z3::expr& length) {
    const z3::expr start = address & value(machine_.address_mask);
    return z3::ugt(start + length, start) && (start & value(machine_.page_size - 1)) == value(0);
  }
  z3::expr touches_from(const z3::expr& start, const z3::expr& length, const std::vector<Range>& ranges) {
    return z3::ugt(start + length, start) && overlaps(start, start + length, ranges);
  }
  z3::expr touches(const z3::expr& address, const z3::expr& length, const std::vector<Range>& ranges) {
    return valid(address, length) && touches_from(address & value(machine_.address_mask), length, ranges);
  }

  z3::context& context_;
  policy::Machine machine_;
  std::vector<z3::expr> arguments_;  // as the kernel reads them
};

Shape random_shape(std::mt19937_64& random, std::size_t count) {
  static constexpr std::uint64_t kBases[] = {0x10000, 0xFFFF'0000, 0x5555'5555'4000, 0x7FFF'F000'0000,
                                             0x7FFF'FFF0'0000};
  Shape shape;
  std::uint64_t next = 0;
  for (std::size_t index = 0; index < count; ++index) {
    const std::uint64_t base =
        kBases[std::min(index * std::size(kBases) / count + random() % 2, std::size(kBases) - 1)];
    const std::uint64_t start = std::max(base, next) + (1 + random() % 4) * kPage;
    const std::uint64_t end = start + (1 + random() % 20) * kPage * (random() % 8 == 0 ? 0x100000 : 1);
    shape.ranges.push_back({start, end});
    if (random() % 2 == 0) shape.contents.push_back({start, end});
    next = end;
  }
  return shape;
}

// So many under one upper word that they are searched by their distance from the first.
Shape many_under_one_word() {
  Shape shape;
  for (std::uint64_t index = 0; index < 17; ++index) {
    shape.ranges.push_back(Range::of(0x7FFF'F000'1000 + index * 0x3000, (1 + index % 2) * kPage));
  }
  shape.contents = {shape.ranges.front()};
  return shape;
}

enum class Finding { none, too_little, too_much };

std::ostream& operator<<(std::ostream& out, Finding finding) {
  return out << (finding == Finding::none         ? "nothing"
                 : finding == Finding::too_little ? "a call that must be refused, answered or notified is not"
                                                  : "a call is refused, answered or notified for nothing");
}

// What the solver finds wrong with the program, for one call of one ABI.
Finding examine(std::span<const sock_filter> program, const policy::Machine& machine, const policy::Abi& abi,
                const policy::CallNumber& entry, const Shape& shape, Kind kind) {
  z3::context context;
  const Input input(context);
  const auto outcomes =
      SymbolicRun(context, input, bits(context, abi.audit_arch), bits(context, entry.number))
          .outcomes(program);
  const auto returns = [&](std::uint32_t action) {
    const auto found = outcomes.find(action);
    return found == outcomes.end() ? context.bool_val(false) : found->second;
  };
  Rule rule(context, input, machine, abi);
  const Call call = entry.call;
  const z3::expr touches = rule.refuses(call, shape.ranges, shape.contents, shape.protection);
  const z3::expr delegated = rule.delegated(call);
  const bool first = kind == Kind::first;
  z3::expr refuse = rule.no();
  z3::expr may_refuse = rule.no();
  z3::expr notify = rule.no();
  z3::expr zero = rule.lowers_break(call, shape.refused_breaks);
  switch (kind) {
    case Kind::alone:
      refuse = touches || rule.extra(call, shape.protection);
      zero = zero || rule.detaches(call, shape.attachments);
      break;
    case Kind::delegating:
      refuse = touches && !delegated;
      may_refuse = touches || (delegated && rule.wraps());
      break;
    case Kind::first:
      refuse = (touches && !delegated) || rule.closed(call);
      notify = delegated || (rule.refuses(call, shape.watched, shape.watched, true) && !refuse);
      if (call == Call::mseal) notify = rule.yes();
      break;
  }
  z3::solver solver(context);
  const auto possible = [&](const z3::expr& condition) {
    solver.push();
    solver.add(condition);
    const z3::check_result result = solver.check();
    REQUIRE(result != z3::unknown);
    solver.pop();
    return result == z3::sat;
  };
  if (possible((refuse && !returns(kRefuse)) || (zero && !returns(kAnswerZero)) ||
               (notify && !returns(kNotify))))
    return Finding::too_little;
  const z3::expr for_nothing = (returns(kRefuse) && !refuse && !may_refuse) ||
                               (returns(kAnswerZero) && !zero) ||
                               (returns(kNotify) && !notify && (first ? !rule.may_notify(call) : rule.yes()));
  return possible(for_nothing) ? Finding::too_much : Finding::none;
}

policy::RangeProgram program_for(const Shape& shape, Kind kind) {
  const policy::DeniedRanges denied{shape.ranges, shape.contents, shape.refused_breaks, shape.protection};
  switch (kind) {
    case Kind::alone:
      return first_filter_without_supervisor(denied, {true, shape.attachments, true}, {});
    case Kind::delegating:
      return filter_of_seals(denied);
    case Kind::first:
      break;
  }
  return first_filter(denied, shape.watched, {kRefuse, kRefuse, kRefuse, kRefuse, std::nullopt});
}

void compile_into(BpfProgram& program, const policy::Machine& machine, const Shape& shape, Kind kind) {
  program.clear();
  if (kind == Kind::first) {
    write_blocked_calls(machine, {}, {}, program);
  } else {
    program.ret(SECCOMP_RET_ALLOW);
  }
  REQUIRE(compile(machine, program_for(shape, kind), program.front(), program));
  REQUIRE(kernel_accepts(program.instructions()));
}

// Proves the program for every call of every ABI.
int prove(const Shape& shape, Kind kind) {
  auto program = std::make_unique<BpfProgram>();
  int proofs = 0;
  for (const policy::Machine& machine : {policy::kX86Machine, policy::arm64_machine(kPage)}) {
    compile_into(*program, machine, shape, kind);
    for (const policy::Abi& abi : machine.abis) {
      for (const policy::CallNumber& entry : abi.calls) {
        INFO(shape.ranges.size() << " ranges, arch " << std::hex << abi.audit_arch << std::dec << ", number "
                                 << entry.number << " (" << policy::name_of(entry.call) << ")");
        REQUIRE(examine(program->instructions(), machine, abi, entry, shape, kind) == Finding::none);
        ++proofs;
      }
    }
  }
  return proofs;
}

TEST_CASE(
    "proof: programs without a supervisor refuse what touches a range and what is documented, nothing else") {
  std::mt19937_64 random(64);
  int proofs = 0;
  for (const std::size_t count : {1, 2, 8, 20}) {
    Shape shape = random_shape(random, count);
    shape.attachments = {shape.ranges.front().start, shape.ranges.back().start};
    shape.refused_breaks = {0x5555'8000'0000, 0x5555'8000'5001};
    proofs += prove(shape, Kind::alone);
  }
  Shape base = random_shape(random, 2);
  base.protection = false;
  proofs += prove(base, Kind::alone);
  CHECK(proofs > 150);
}

TEST_CASE("proof: the filters of seals refuse what touches a range and is not delegated, nothing else") {
  std::mt19937_64 random(65);
  int proofs = 0;
  for (const std::size_t count : {1, 1, 1, 1, 3, 20, 40}) {
    Shape shape = random_shape(random, count);
    if (count == 3) shape.refused_breaks = {0x5555'8000'0000, 0x5555'8000'5001};
    proofs += prove(shape, Kind::delegating);
  }
  proofs += prove(many_under_one_word(), Kind::delegating);
  for (const std::size_t count : {1, 3}) {  // seals without MSEAL_TYPE_PROT_PKEY
    Shape shape = random_shape(random, count);
    shape.protection = false;
    proofs += prove(shape, Kind::delegating);
  }
  CHECK(proofs > 250);
}

TEST_CASE(
    "proof: the first filter refuses what is denied, notifies what is watched or delegated, and lets the "
    "rest") {
  std::mt19937_64 random(66);
  int proofs = 0;
  for (const std::size_t count : {1, 2, 7, 24}) {
    Shape shape = random_shape(random, count);
    shape.watched = random_shape(random, 3).ranges;
    shape.refused_breaks = {0x5555'8000'0000, 0x5555'8000'5001};
    proofs += prove(shape, Kind::first);
  }
  // What is watched lies under the same word, and elsewhere.
  Shape many = many_under_one_word();
  for (const Range& watched :
       {Range{0x7FFF'F000'2000, 0x7FFF'F000'9000}, Range{0x5555'0000'0000, 0x5555'4000'0000}}) {
    many.watched = {watched};
    proofs += prove(many, Kind::first);
  }
  CHECK(proofs > 150);
}

// ---- mutants: what a broken compiler would have written ----

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
