// The rule of what a range program refuses, answers and notifies, written down a second time, for the solver.
#pragma once

#include <z3++.h>

#include <cstdint>
#include <vector>

#include "policy/rules/mm_call.h"
#include "policy/rules/range.h"
#include "policy/rules/tree_question.h"
#include "tests/proof/symbolic_run.h"

namespace libmseal::tests {

using policy::Call;
using policy::Range;

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
        return bit(3, policy::kMremapFixed) || no_size() || wide() || shrinks_huge();
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
        return shrinks_huge() || (bit(3, policy::kMremapFixed) && (partly_huge(4, 2) || perhaps_huge()));
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

  z3::expr asks_for_tree(Call call) {
    return call == Call::mmap ? low(3) == word(policy::kTreeQuestion) : no();
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
  z3::expr shrinks_huge() { return z3::ugt(argument(1), argument(2)) && partly_huge(0, 1); }
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

}  // namespace libmseal::tests
