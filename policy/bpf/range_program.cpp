#include "policy/bpf/range_program.h"

#include <algorithm>
#include <array>

#include "policy/bpf/call_fields.h"
#include "policy/bpf/call_range.h"
#include "policy/bpf/call_searches.h"
#include "policy/bpf/huge_page_tests.h"
#include "policy/bpf/mremap_program.h"
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
    searches_.write({allow_, refuse_, delegated_});
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

  // ---- huge pages ----

  // Whether calls that create huge pages go to the supervisor or are refused.
  [[nodiscard]] bool tells_of_huge_pages() const {
    return notifies() || what_.unsupervised.refuse_huge_pages;
  }
  Label huge_pages() { return notifies() ? delegated_ : refuse_; }

  [[nodiscard]] bool answers_tree_question() const { return what_.is_first() && notifies(); }

  // ---- the calls ----

  // The file may be a bpf arena, which the kernel moves past the multiple of 4 GiB that it would cross.
  Label write_fixed_file() {
    const Label both = range_.set_above_line(0, 1, range_.keep(range_.set(0, 1, searches_.both())));
    out_.branch_x(BPF_JGE, searches_.given(), both);  // the sum is below an addend only if it crossed one
    out_.add_x();
    out_.load(low_of(1));
    out_.copy_to_x();
    Label narrow = out_.load(low_of(0));
    if (!range_.has_short_arguments()) {
      out_.branch(BPF_JEQ, 0, narrow, both);
      narrow = out_.load(high_of(1));
    }
    const Label aligned = out_.branch(BPF_JEQ, 0, searches_.given(), narrow);
    out_.branch(BPF_JSET, low(machine_.page_size - 1), allow_, aligned);
    return out_.load(low_of(0));
  }

  Label write_mmap() {
    Label fixed = searches_.given();
    if (decides() || notifies()) {
      // The file may be on hugetlbfs, where whole huge pages are replaced.
      const Label file =
          decides() ? write_fixed_file() : huge_.if_partly(0, 1, delegated_, searches_.given());
      out_.branch(BPF_JSET, kMapAnonymous, searches_.given(), file);
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
    if (!notifies() && !what_.unsupervised.refuse_grows_down) return searches_.given();
    const Label grows_down =
        out_.branch(BPF_JSET, kProtGrowsUp, searches_.given(), notifies() ? delegated_ : refuse_);
    out_.branch(BPF_JSET, kProtGrowsDown, grows_down, searches_.given());
    return out_.load(low_of(2));
  }

  // The kernel would round an unaligned start down. No program needs that, so it is refused.
  Label write_remap_file_pages() {
    if (!decides()) return delegated_;
    out_.branch(BPF_JSET, low(machine_.page_size - 1), refuse_, searches_.given());
    return out_.load(low_of(0));
  }

  Label write_madvise() {
    if (what_.denied.contents.empty() && !notifies()) return other_;
    const Label discards =
        searches_.is_one() ? searches_.given() : range_.set(searches_.contents(), delegated_);
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
        return searches_.given();
      case Call::remap_file_pages:
        return write_remap_file_pages();
      case Call::mprotect:
        return write_mprotect();
      case Call::mremap:
        return decides() ? mremap_.decide(refuse_) : mremap_.delegate(delegated_, notifies());
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
  CallSearches searches_{what_, range_, out_};
  HugePageTests huge_{machine_, range_, out_};
  MremapProgram mremap_{machine_, searches_, range_, huge_, out_};
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
