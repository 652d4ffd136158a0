#include "policy/bpf/range_program.h"

#include <algorithm>
#include <array>

#include "policy/bpf/call_fields.h"
#include "policy/bpf/call_range.h"
#include "policy/bpf/interval_search.h"
#include "policy/bpf/number_search.h"
#include "policy/bpf/single_seal.h"
#include "policy/rules/fixed_vector.h"
#include "policy/rules/mm_call.h"

namespace libmseal::policy {
namespace {

using Label = BpfProgram::Label;

class Compiler {
 public:
  Compiler(const Machine& machine, const RangeProgram& what, Label other, BpfProgram& out)
      : machine_(machine), what_(what), other_(other), out_(out) {}

  void run() {
    write_returns();
    allow_ = returning(SECCOMP_RET_ALLOW);
    refuse_ = returning(kActionRefuse);
    delegated_ = notifies() ? returning(kActionNotify) : other_;
    write_searches();
    Label next = other_;
    for (std::size_t index = machine_.abis.size(); index > 0; --index) {
      next = write_abi(machine_.abis[index - 1], next);
    }
    out_.jump(next);
    out_.load(kArchField);
  }

 private:
  [[nodiscard]] bool notifies() const { return what_.notifies(); }
  [[nodiscard]] bool decides() const { return what_.delegated == RangeProgram::DelegatedCalls::decided_here; }

  // ---- returns ----

  // All of them are at the end of the program: the kernel's check (net/core/filter.c,
  // check_load_and_stores) treats a return like any other instruction. On the code after it, it would assume
  // that scratch memory was not stored, although other paths have stored it.
  void write_returns() {
    const auto need = [&](std::optional<std::uint32_t> action) {
      if (action && returning(*action) == other_) (void)returns_.push_back({*action, out_.ret(*action)});
    };
    need(kActionRefuse);
    if (notifies()) need(kActionNotify);
    if (!what_.denied.breaks.empty() || !what_.unsupervised.attachments.empty()) need(kActionAnswerZero);
    if (what_.is_first()) need(kActionNoSuchCall);
    if (answers_tree_question()) need(kActionIsInTree);
    need(unjudgeable().shm_remap);
    need(unjudgeable().old_mmap);
    need(unjudgeable().io_setup);
    need(unjudgeable().io_destroy);
    need(unjudgeable().wide);
    need(SECCOMP_RET_ALLOW);
  }

  [[nodiscard]] Label returning(std::optional<std::uint32_t> action) const {
    for (const Return& one : returns_) {
      if (one.action == action) return one.at;
    }
    return other_;
  }

  // ---- searches ----

  void write_searches() {
    const RangeTarget watched{what_.watched, notifies() ? returning(kActionNotify) : other_};
    const auto search = [&](std::span<const Range> denied) {
      const Label hit = denied.empty() ? refuse_ : range_.confirm(refuse_, allow_);
      return search_intervals({denied, hit}, watched, allow_, range_, out_);
    };
    const DeniedRanges& denied = what_.denied;
    const bool one_search = std::ranges::equal(denied.ranges, denied.contents);
    if (!one_search) contents_search_ = search(denied.contents);
    ranges_search_ = search(denied.ranges);
    if (one_search) contents_search_ = ranges_search_;
    (void)search_given();  // directly before its search
  }

  // Searches the range given by arguments 0 and 1.
  Label search_given() {
    Label& given = range_.has_short_arguments() ? short_given_ : given_;
    if (given == 0) given = range_.set(ranges_search_, delegated_);
    return given;
  }

  // Searches the range, then the saved one.
  Label search_both() {
    if (both_search_ == 0) {
      const Label second = range_.take_kept(ranges_search_);
      both_search_ =
          search_intervals({what_.denied.ranges, range_.confirm(refuse_, second)}, {}, second, range_, out_);
    }
    return both_search_;
  }

  // ---- huge pages ----

  // `if (argument & mask) goto some; else goto none`
  Label branch_any(std::uint32_t argument, std::uint64_t mask, Label some, Label none) {
    if (high(mask) != 0 && !range_.has_short_arguments()) {
      out_.branch(BPF_JSET, high(mask), some, none);
      none = out_.load(high_of(argument));
    }
    out_.branch(BPF_JSET, low(mask), some, none);
    return out_.load(low_of(argument));
  }

  // Goes to `partly` if the address is a huge page boundary and the length is not a multiple of that size:
  // the kernel rounds the length up if the range consists of huge pages.
  Label if_partly_huge(std::uint32_t address, std::uint32_t length, Label partly, Label next) {
    Label others = next;
    for (const std::uint64_t size : machine_.huge_pages) {
      others = branch_any(address, size - 1, others, branch_any(length, size - 1, partly, others));
    }
    return others;
  }

  // Since 6.17 mremap can move several mappings at once (mm/mremap.c, remap_move). Huge pages can be among
  // them only if source and target have the same offset in a huge page; the kernel then rounds the end up.
  // For sizes above 4 GiB, only the lower words are compared.
  Label if_perhaps_huge(Label perhaps, Label next) {
    Label others = next;
    for (const std::uint64_t size : machine_.huge_pages) {
      const std::uint32_t within = low(size - 1) & ~low(machine_.page_size - 1);
      Label ends_in_one = perhaps;
      if (high(size) == 0) {
        out_.branch(BPF_JSET, low(size - 1), perhaps, others);
        out_.add_x();
        ends_in_one = out_.load(low_of(1));
      }
      out_.branch_x(BPF_JEQ, ends_in_one, others);
      out_.mask(within);
      out_.load(low_of(4));
      out_.copy_to_x();
      out_.mask(within);
      others = out_.load(low_of(0));
    }
    return others;
  }

  // Whether calls that create huge pages go to the supervisor or are refused.
  [[nodiscard]] bool tells_of_huge_pages() const {
    return notifies() || what_.unsupervised.refuse_huge_pages;
  }
  Label huge_pages() { return notifies() ? delegated_ : refuse_; }

  [[nodiscard]] bool answers_tree_question() const { return what_.is_first() && notifies(); }

  // ---- the calls ----

  // The file may be a bpf arena, which the kernel moves past the multiple of 4 GiB that it would cross.
  Label write_fixed_file() {
    const Label both = range_.set_above_line(0, 1, range_.keep(range_.set(0, 1, search_both())));
    out_.branch_x(BPF_JGE, search_given(), both);  // the sum is below an addend only if it crossed one
    out_.add_x();
    out_.load(low_of(1));
    out_.copy_to_x();
    Label narrow = out_.load(low_of(0));
    if (!range_.has_short_arguments()) {
      out_.branch(BPF_JEQ, 0, narrow, both);
      narrow = out_.load(high_of(1));
    }
    const Label aligned = out_.branch(BPF_JEQ, 0, search_given(), narrow);
    out_.branch(BPF_JSET, low(machine_.page_size - 1), allow_, aligned);
    return out_.load(low_of(0));
  }

  Label write_mmap() {
    Label fixed = search_given();
    if (decides() || notifies()) {
      // The file may be on hugetlbfs, where whole huge pages are replaced.
      const Label file = decides() ? write_fixed_file() : if_partly_huge(0, 1, delegated_, search_given());
      out_.branch(BPF_JSET, kMapAnonymous, search_given(), file);
      fixed = out_.load(low_of(3));
    }
    Label special = out_.branch(BPF_JSET, kMapFixedNoreplace, allow_, fixed);
    std::uint32_t special_flags = kMapFixed;
    if (tells_of_huge_pages()) {
      Label huge = huge_pages();
      if (answers_tree_question())
        huge = out_.branch(BPF_JEQ, kTreeQuestion, returning(kActionIsInTree), huge);
      special = out_.branch(BPF_JSET, kMapHugetlb, huge, special);
      special_flags |= kMapHugetlb;
    }
    const Label ordinary = out_.ret(SECCOMP_RET_ALLOW);  // a separate one, within reach of the branches
    out_.branch(BPF_JSET, special_flags, special, ordinary);
    return out_.load(low_of(3));
  }

  Label write_mprotect() {
    if (!what_.denied.protection && !notifies()) return other_;
    if (!notifies() && !what_.unsupervised.refuse_grows_down) return search_given();
    const Label grows_down =
        out_.branch(BPF_JSET, kProtGrowsUp, search_given(), notifies() ? delegated_ : refuse_);
    out_.branch(BPF_JSET, kProtGrowsDown, grows_down, search_given());
    return out_.load(low_of(2));
  }

  // The kernel would round an unaligned start down. No program needs that, so it is refused.
  Label write_remap_file_pages() {
    if (!decides()) return delegated_;
    out_.branch(BPF_JSET, low(machine_.page_size - 1), refuse_, search_given());
    return out_.load(low_of(0));
  }

  // If huge pages begin at the old address, shrinking unmaps up to a multiple of their size.
  Label if_shrinks_huge(Label shrinks, Label otherwise) {
    const auto load_both = [&](std::uint32_t old_size, std::uint32_t new_size) {
      out_.load(old_size);
      out_.copy_to_x();
      return out_.load(new_size);
    };
    const Label partly = if_partly_huge(0, 1, shrinks, otherwise);
    out_.branch_x(BPF_JGT, partly, otherwise);
    const Label low_words = load_both(low_of(1), low_of(2));
    if (range_.has_short_arguments()) return low_words;
    const Label not_above = out_.branch_x(BPF_JEQ, low_words, otherwise);
    out_.branch_x(BPF_JGT, partly, not_above);
    return load_both(high_of(1), high_of(2));
  }

  Label write_mremap() {
    if (decides()) return write_mremap_of_both();
    // A size of 0 has a zero lower word; sizes with an upper word are wide.
    const Label sized = notifies() ? if_shrinks_huge(delegated_, search_given()) : search_given();
    out_.branch(BPF_JEQ, 0, delegated_, sized);
    const Label somewhere = out_.load(low_of(1));
    out_.branch(BPF_JSET, kMremapFixed, delegated_, somewhere);
    return out_.load(low_of(3));
  }

  Label write_mremap_of_both() {
    // An old size of 0, also after rounding up has wrapped, means the page at the old address.
    const auto source_then = [&](Label sized, Label next) {
      const Label one_byte = range_.set_one_byte(0, next);
      out_.branch(BPF_JGT, low(0 - machine_.page_size), one_byte, sized);
      const Label low_of_huge = out_.load(low_of(1));
      out_.branch(BPF_JEQ, 0, one_byte, sized);
      const Label low_of_small = out_.load(low_of(1));
      const Label huge = out_.branch(BPF_JEQ, ~0U, low_of_huge, sized);
      out_.branch(BPF_JEQ, 0, low_of_small, huge);
      return range_.load_high(1);
    };
    const Label source = source_then(search_given(), ranges_search_);
    const Label sized = range_.set(0, 1, search_both());
    const Label target = range_.set(4, 2, range_.keep(source_then(sized, search_both())));
    const Label with_target = if_partly_huge(4, 2, refuse_, if_perhaps_huge(refuse_, target));
    out_.branch(BPF_JSET, kMremapFixed, with_target, source);
    return if_shrinks_huge(refuse_, out_.load(low_of(3)));
  }

  Label write_madvise() {
    if (what_.denied.contents.empty() && !notifies()) return other_;
    const Label discards =
        contents_search_ == ranges_search_ ? search_given() : range_.set(contents_search_, delegated_);
    Label next = allow_;
    for (const std::uint32_t advice : kDiscardingAdvice) {
      next = out_.branch(BPF_JEQ, advice, decides() || is_everyday(advice) ? discards : delegated_, next);
    }
    return out_.load(low_of(2));
  }

  // The refused breaks lie inside the heap, so an argument is compared in full only near them.
  Label write_brk() {
    const Range& refused = what_.denied.breaks;
    if (refused.empty()) return other_;
    const auto at_least = [&](std::uint64_t bound, Label yes, Label no) {
      out_.branch(BPF_JGE, low(bound), yes, no);
      const Label low_halves = out_.load(low_of(0));
      const Label equal = out_.branch(BPF_JEQ, high(bound), low_halves, no);
      out_.branch(BPF_JGT, high(bound), yes, equal);
      return range_.load_high(0);
    };
    const Label above_start = at_least(refused.end, allow_, returning(kActionAnswerZero));
    return at_least(refused.start, above_start, allow_);
  }

  Label write_mseal() {
    if (!what_.is_first()) return other_;
    return returning(notifies() ? kActionNotify : kActionNoSuchCall);
  }

  Label write_shmat(std::uint32_t flags) {
    const Label remap = returning(unjudgeable().shm_remap);
    if (remap == other_) return other_;
    out_.branch(BPF_JSET, kShmRemap, remap, other_);
    return out_.load(low_of(flags));
  }

  Label write_shmget(std::uint32_t flags) {
    if (!tells_of_huge_pages()) return other_;
    out_.branch(BPF_JSET, kShmHugetlb, huge_pages(), other_);
    return out_.load(low_of(flags));
  }

  Label write_shmdt(std::uint32_t address) {
    if (!decides()) return delegated_;
    Label next = other_;
    for (const std::uint64_t attachment : what_.unsupervised.attachments) {
      out_.branch(BPF_JEQ, high(attachment), returning(kActionAnswerZero), next);
      const Label high_half = range_.load_high_of_address(address);
      out_.branch(BPF_JEQ, low(attachment), high_half, next);
      next = out_.load(low_of(address));
    }
    return next;
  }

  Label write_ipc() {
    const Label detach = write_shmdt(4);
    const Label attach = write_shmat(2);
    const Label make = write_shmget(3);
    if (detach == other_ && attach == other_ && make == other_) return other_;
    const std::array<NumberHandler, 3> operations{
        {{kIpcShmat, attach}, {kIpcShmdt, detach}, {kIpcShmget, make}}};
    out_.jump(search_number(operations, other_, other_, out_));
    out_.mask(0xFFFF);
    return out_.load(low_of(0));
  }

  Label write_call(Call call) {
    switch (call) {
      case Call::mmap:
        return write_mmap();
      case Call::munmap:
        return search_given();
      case Call::remap_file_pages:
        return write_remap_file_pages();
      case Call::mprotect:
        return write_mprotect();
      case Call::mremap:
        return write_mremap();
      case Call::madvise:
        return write_madvise();
      case Call::brk:
        return write_brk();
      case Call::mseal:
        return write_mseal();
      case Call::shmat:
        return write_shmat(2);
      case Call::shmdt:
        return write_shmdt(0);
      case Call::ipc:
        return write_ipc();
      case Call::io_setup:
        return returning(unjudgeable().io_setup);
      case Call::io_destroy:
        return returning(unjudgeable().io_destroy);
      case Call::shmget:
        return write_shmget(2);
      case Call::old_mmap:
        return returning(unjudgeable().old_mmap);
    }
    return other_;
  }

  [[nodiscard]] UnjudgeableCalls unjudgeable() const { return what_.first.value_or(UnjudgeableCalls{}); }

  // ---- the ABIs ----

  // No call of the ABI can name an address as high as the lowest range.
  [[nodiscard]] bool out_of_reach(const Abi& abi) const {
    const auto above = [&](std::uint64_t address) { return address >= abi.reach(); };
    const DeniedRanges& denied = what_.denied;
    return abi.reach() != 0 && !what_.is_first() &&
           (denied.ranges.empty() || above(denied.ranges.front().start)) &&
           (denied.breaks.empty() || above(denied.breaks.start)) &&
           std::ranges::all_of(what_.unsupervised.attachments, above);
  }

  // Before a search for the number of a call: goes to `narrow` if no register is too wide.
  Label check_width(const Abi& abi, Label narrow, Label beyond) {
    const Label wide = returning(unjudgeable().wide);
    if (wide == other_ || !abi.has_short_arguments()) return narrow;
    out_.jump(narrow);
    Label check = out_.load(kNumberField);
    for (std::uint32_t argument = 0; argument < kShownArguments; ++argument) {
      out_.branch(BPF_JEQ, 0, check, wide);
      check = out_.load(high_of(argument));
    }
    NumberHandlers handlers;
    for (const CallNumber& entry : abi.calls) (void)handlers.push_back({entry.number, check});
    for (const std::uint32_t number : {abi.clones.clone, abi.clones.vfork, abi.clones.clone3})
      (void)handlers.push_back({number, check});
    std::sort(handlers.begin(), handlers.end(),
              [](const NumberHandler& one, const NumberHandler& other) { return one.number < other.number; });
    return search_number(handlers.view(), other_, beyond, out_);
  }

  // `if (A == abi) search else next`: the number follows the architecture, so that the kernel's bitmap of
  // calls with a constant answer works.
  Label write_abi(const Abi& abi, Label next) {
    if (out_of_reach(abi)) return next;
    range_.set_short_arguments(abi.has_short_arguments());
    std::array<Label, static_cast<std::size_t>(Call::mseal) + 1> calls{};  // 0: not written yet
    NumberHandlers handlers;
    for (const CallNumber& entry : abi.calls) {
      Label& handler = calls[static_cast<std::size_t>(entry.call)];
      if (handler == 0) handler = write_call(entry.call);
      if (handler != other_) (void)handlers.push_back({entry.number, handler});
    }
    Label beyond = other_;
    if (abi.first_foreign_number != 0 && what_.is_first()) {
      // A tracer skips a call with -1; the call then returns the tracer's value.
      const Label foreign = out_.branch(BPF_JEQ, ~0U, other_, returning(kActionNoSuchCall));
      beyond = out_.branch(BPF_JGE, abi.first_foreign_number, foreign, other_);
    }
    out_.jump(check_width(abi, search_number(handlers.view(), other_, beyond, out_), beyond));
    const Label by_number = out_.load(kNumberField);
    return out_.branch(BPF_JEQ, abi.audit_arch, by_number, next);
  }

  struct Return {
    std::uint32_t action;
    Label at;
  };

  const Machine& machine_;
  const RangeProgram& what_;
  const Label other_;
  BpfProgram& out_;
  FixedVector<Return, 12> returns_{};
  Label allow_ = 0;
  Label refuse_ = 0;
  Label delegated_ = 0;

  CallRange range_{machine_, !decides(), out_};
  Label ranges_search_ = 0;
  Label contents_search_ = 0;
  Label both_search_ = 0;

  // 0: not written yet.
  Label given_ = 0;
  Label short_given_ = 0;
};

}  // namespace

bool compile(const Machine& machine, const RangeProgram& what, Label other, BpfProgram& program) {
  if (is_single_seal(what)) {
    write_single_seal(machine, what.denied, other, program);
  } else {
    Compiler(machine, what, other, program).run();
  }
  return program.complete();
}

}  // namespace libmseal::policy
