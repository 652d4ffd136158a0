#include "policy/range_program.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>

#include "policy/mm_call.h"

namespace libmseal::policy {
namespace {

using Label = BpfProgram::Label;

static_assert(std::endian::native == std::endian::little, "argument halves are read in little-endian order");

constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr std::uint32_t kArch = offsetof(seccomp_data, arch);
constexpr std::uint32_t low_of(std::uint32_t argument) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args)) + argument * 8;
}
constexpr std::uint32_t high_of(std::uint32_t argument) {
  return low_of(argument) + 4;
}
constexpr std::uint32_t low(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

// Scratch memory: the range in question, [start, end).
enum Slot : std::uint32_t { kStartLow, kStartHigh, kEndLow, kEndHigh };

class Compiler {
  static constexpr std::size_t kMostCalls = 16;
  static constexpr std::size_t kCallKinds = 16;
  static_assert(kX86_64Calls.size() <= kMostCalls && kI386Calls.size() <= kMostCalls &&
                kAarch64Calls.size() <= kMostCalls);
  static_assert(static_cast<std::size_t>(Call::mseal) < kCallKinds);

 public:
  Compiler(const Machine& machine, const RangeProgram& what, Label other, BpfProgram& out)
      : machine_(machine), what_(what), other_(other), out_(out) {}

  bool run() {
    if (is_short()) return write_short();
    allow_ = out_.ret(SECCOMP_RET_ALLOW);
    write_searches();
    Label next = other_;
    for (std::size_t index = machine_.abis.size(); index > 0; --index) {
      next = write_abi(machine_.abis[index - 1], next);
    }
    out_.jump(next);
    out_.load(kArch);
    return out_.complete();
  }

 private:
  // ---- the short program of one seal ----

  // One range under one upper word, out of reach of every ABI but the native one, and nothing else asked for.
  // Then the architecture need not be looked at: no call of another one names an address so high.
  [[nodiscard]] bool is_short() const {
    if (what_.ranges.size() != 1 || what_.contents.size() > 1 || !what_.exact) return false;
    if (what_.rare != SECCOMP_RET_ALLOW || what_.hidden != 0 || what_.mseal != 0 || what_.refuse_foreign)
      return false;
    const Range& range = what_.ranges[0];
    constexpr std::uint64_t kReach = 1ULL << 33;  // 32-bit start and 32-bit length
    return what_.refused_breaks.empty() && range.start >= kReach &&
           high(range.start) == high(range.end - 1) && (what_.contents.empty() || what_.contents[0] == range);
  }

  Label load_high_of_start() {
    if (high(machine_.address_mask) != ~0U) out_.mask(high(machine_.address_mask));
    return out_.load(high_of(0));
  }

  // The call is refused if it starts below the end of the range and ends above the higher one of the two
  // starts: so it is neither empty nor does it wrap around.
  bool write_short() {
    const Range& range = what_.ranges[0];
    const std::uint32_t word = high(range.start);
    constexpr std::uint32_t kHigherStart = 0;  // scratch memory: lower words
    constexpr std::uint32_t kEnd = 1;
    const Label hit = out_.ret(what_.hit);

    out_.branch_x(BPF_JGT, hit, other_);
    out_.load_scratch(kEnd);
    const Label low_words = out_.load_scratch_x(kHigherStart);
    const Label same_word = out_.branch(BPF_JEQ, word, low_words, other_);
    out_.branch(BPF_JGT, word, hit, same_word);
    out_.add_x();
    load_high_of_start();
    const Label sum_of_high_words = out_.copy_to_x();
    const Label without_carry = out_.load(high_of(1));
    out_.jump(sum_of_high_words);
    out_.add(1);
    const Label with_carry = out_.load(high_of(1));
    out_.branch_x(BPF_JGE, without_carry, with_carry);
    out_.store_scratch(kEnd);
    out_.add_x();
    out_.load(low_of(1));
    const Label aligned = out_.copy_to_x();
    out_.branch(BPF_JSET, low(machine_.page_size - 1), other_, aligned);
    out_.load(low_of(0));
    const Label found_start = out_.store_scratch(kHigherStart);
    const Label below = out_.load_value(low(range.start));
    const Label not_above = out_.branch(BPF_JGE, low(range.start), found_start, below);
    out_.branch(BPF_JGT, low(range.end - 1), other_, not_above);
    const Label under_word = out_.load(low_of(0));
    const Label not_over = out_.branch(BPF_JEQ, word, under_word, below);
    out_.branch(BPF_JGT, word, other_, not_over);
    const Label touches = load_high_of_start();

    const Label replaces = out_.branch(BPF_JSET, kMapFixedNoreplace, other_, touches);
    out_.branch(BPF_JSET, kMapFixed, replaces, other_);
    const Label map = out_.load(low_of(3));
    Label advise = other_;
    if (!what_.contents.empty()) {
      for (const std::uint32_t advice : kEverydayAdvice)
        advise = out_.branch(BPF_JEQ, advice, touches, advise);
      advise = out_.load(low_of(2));
    }
    Label next = other_;
    for (const CallNumber& entry : machine_.abis[0].calls) {
      switch (entry.call) {
        case Call::mmap:
          next = out_.branch(BPF_JEQ, entry.number, map, next);
          break;
        case Call::madvise:
          if (advise != other_) next = out_.branch(BPF_JEQ, entry.number, advise, next);
          break;
        case Call::munmap:
        case Call::mprotect:
        case Call::mremap:
          next = out_.branch(BPF_JEQ, entry.number, touches, next);
          break;
        default:
          break;
      }
    }
    out_.jump(next);
    out_.load(kNumber);
    return out_.complete();
  }

  // ---- the search ----

  // `if (end > bound) goto yes else goto no`
  Label branch_end_past(std::uint64_t bound, Label yes, Label no) {
    out_.branch(BPF_JGT, low(bound), yes, no);
    const Label low_halves = out_.load_scratch(kEndLow);
    const Label equal = out_.branch(BPF_JEQ, high(bound), low_halves, no);
    out_.branch(BPF_JGT, high(bound), yes, equal);
    return out_.load_scratch(kEndHigh);
  }

  // The outcome for an address between boundary `index` - 1 and boundary `index`; the ranges' starts and ends
  // are the boundaries, so an odd index lies inside a range.
  Label leaf(std::span<const Range> ranges, std::size_t index, Label hit, Label miss) {
    if (index % 2 == 1) return hit;
    if (index / 2 == ranges.size()) return miss;
    return branch_end_past(ranges[index / 2].start, hit, miss);
  }

  static std::uint64_t boundary(std::span<const Range> ranges, std::size_t index) {
    return index % 2 == 0 ? ranges[index / 2].start : ranges[index / 2].end;
  }

  // Which interval holds the lower word in A, knowing that the boundaries [first, last) have the upper word
  // of the address. `outcome` of an interval's index is where to go.
  template <class Outcome>
  Label search_low(std::span<const Range> ranges, std::size_t first, std::size_t last, Outcome outcome) {
    if (first == last) return outcome(first);
    const std::size_t middle = first + (last - first) / 2;
    const Label below = search_low(ranges, first, middle, outcome);
    const Label above = search_low(ranges, middle + 1, last, outcome);
    return out_.branch(BPF_JGE, low(boundary(ranges, middle)), above, below);
  }

  // The boundaries [first, last) have the upper word of the address.
  Label search_same_word(std::span<const Range> ranges, std::size_t first, std::size_t last, Label hit,
                         Label miss) {
    const auto in_full = [&](std::size_t index) { return leaf(ranges, index, hit, miss); };
    if (last - first < 4) {
      const Label tree = search_low(ranges, first, last, in_full);
      out_.jump(tree);
      return out_.load_scratch(kStartLow);
    }
    // Of many boundaries under one word: the upper word of the end is looked at once, for all of them.
    const std::uint32_t word = high(boundary(ranges, first));
    const auto by_low_word = [&](std::size_t index) {
      if (index % 2 == 1) return hit;
      if (index == last) return miss;  // the next range is beyond this word
      out_.branch(BPF_JGT, low(ranges[index / 2].start), hit, miss);
      return out_.load_scratch(kEndLow);
    };
    const Label past_all = in_full(last);
    out_.branch(BPF_JGE, low(boundary(ranges, last - 1)), past_all, hit);
    const Label ends_beyond = out_.load_scratch(kStartLow);
    out_.jump(search_low(ranges, first, last, by_low_word));
    const Label ends_here = out_.load_scratch(kStartLow);
    const Label not_beyond = out_.branch(BPF_JEQ, word, ends_here, miss);  // smaller: it wraps around
    out_.branch(BPF_JGT, word, ends_beyond, not_beyond);
    return out_.load_scratch(kEndHigh);
  }

  // The same for the upper word in A, among all boundaries [first, last).
  Label search_high(std::span<const Range> ranges, std::size_t first, std::size_t last, Label hit,
                    Label miss) {
    if (first == last) return leaf(ranges, first, hit, miss);
    const std::uint32_t word = high(boundary(ranges, first + (last - first) / 2));
    std::size_t same_first = first;
    while (high(boundary(ranges, same_first)) < word) ++same_first;
    std::size_t same_last = same_first;
    while (same_last < last && high(boundary(ranges, same_last)) == word) ++same_last;

    const Label below = search_high(ranges, first, same_first, hit, miss);
    const Label above = search_high(ranges, same_last, last, hit, miss);
    const Label same = search_same_word(ranges, same_first, same_last, hit, miss);
    const Label equal = out_.branch(BPF_JEQ, word, same, below);
    return out_.branch(BPF_JGT, word, above, equal);
  }

  Label search(std::span<const Range> ranges, Label hit, Label miss) {
    out_.jump(search_high(ranges, 0, ranges.size() * 2, hit, miss));
    return out_.load_scratch(kStartHigh);
  }

  // ---- the range of a call ----

  // scratch start = the argument, stripped of the bits that the kernel does not look at.
  Label store_start(std::uint32_t argument) {
    out_.store_scratch(kStartLow);
    out_.load(low_of(argument));
    out_.store_scratch(kStartHigh);
    if (high(machine_.address_mask) != ~0U) out_.mask(high(machine_.address_mask));
    return out_.load(high_of(argument));
  }

  // scratch = [argument `start`, + argument `length`), then on to `next`.
  Label set_range(std::uint32_t start, std::uint32_t length, Label next) {
    const auto upper_half = [&](bool carry) {
      out_.jump(next);
      out_.store_scratch(kEndHigh);
      if (carry) out_.add(1);
      out_.add_x();
      out_.load_scratch_x(kStartHigh);
      return out_.load(high_of(length));
    };
    const Label without_carry = upper_half(false);
    const Label with_carry = upper_half(true);
    out_.branch_x(BPF_JGE, without_carry, with_carry);  // the sum is below an addend only if it wrapped
    out_.store_scratch(kEndLow);
    out_.add_x();
    out_.load_scratch_x(kStartLow);
    out_.load(low_of(length));
    return store_start(start);
  }

  // scratch = [argument `start`, one byte on): enough to touch the page.
  Label set_one_byte(std::uint32_t start, Label next) {
    out_.jump(next);
    out_.store_scratch(kEndHigh);
    out_.load_scratch(kStartHigh);
    out_.store_scratch(kEndLow);
    out_.add(1);
    out_.load_scratch(kStartLow);
    return store_start(start);
  }

  // A hit counts only if the kernel would not refuse the range itself: aligned, not empty, not wrapping.
  Label confirm(Label hit, Label miss) {
    if (!what_.exact) return hit;
    out_.branch_x(BPF_JGT, hit, miss);
    out_.load_scratch_x(kStartLow);
    const Label low_halves = out_.load_scratch(kEndLow);
    const Label equal = out_.branch_x(BPF_JEQ, low_halves, miss);
    out_.branch_x(BPF_JGT, hit, equal);
    out_.load_scratch_x(kStartHigh);
    const Label high_halves = out_.load_scratch(kEndHigh);
    out_.branch(BPF_JSET, low(machine_.page_size - 1), miss, high_halves);
    return out_.load_scratch(kStartLow);
  }

  void write_searches() {
    hit_ = out_.ret(what_.hit);
    ranges_search_ = search(what_.ranges, confirm(hit_, allow_), allow_);
    const bool same =
        std::equal(what_.contents.begin(), what_.contents.end(), what_.ranges.begin(), what_.ranges.end());
    contents_search_ = same || what_.contents.empty() ? ranges_search_
                                                      : search(what_.contents, confirm(hit_, allow_), allow_);
    ranges_ = set_range(0, 1, ranges_search_);
  }

  // ---- the calls ----

  Label write_mmap() {
    Label fixed = ranges_;
    if (what_.hidden != 0) {
      const Label hidden = out_.ret(what_.hidden);
      if (what_.suspect_huge_files) {
        out_.branch(BPF_JSET, low(machine_.smallest_huge_page - 1), ranges_, hidden);
        const Label file = out_.load(low_of(0));
        out_.branch(BPF_JSET, kMapAnonymous, ranges_, file);
        fixed = out_.load(low_of(3));
      }
      fixed = out_.branch(BPF_JSET, kMapHugetlb, hidden, fixed);
    }
    const Label replaces = out_.branch(BPF_JSET, kMapFixedNoreplace, allow_, fixed);
    out_.branch(BPF_JSET, kMapFixed, replaces, allow_);
    return out_.load(low_of(3));
  }

  Label write_mprotect() {
    if (what_.hidden == 0) return ranges_;
    const Label hidden = out_.ret(what_.hidden);
    out_.branch(BPF_JSET, kProtGrowsDown | kProtGrowsUp, hidden, ranges_);
    return out_.load(low_of(2));
  }

  // Nobody has a reason to call it with an unaligned start, which the kernel would round down.
  Label write_remap_file_pages() {
    if (what_.rare != 0) return rare();
    const Label unaligned = what_.hidden != 0 ? out_.ret(what_.hidden) : hit_;
    out_.branch(BPF_JSET, low(machine_.page_size - 1), unaligned, ranges_);
    return out_.load(low_of(0));
  }

  Label rare() { return what_.rare == SECCOMP_RET_ALLOW ? other_ : out_.ret(what_.rare); }

  Label write_mremap_leaving_rare() {
    const Label elsewhere = rare();
    out_.branch(BPF_JGT, low(0 - machine_.page_size), elsewhere, ranges_);
    const Label low_of_huge = out_.load(low_of(1));
    out_.branch(BPF_JEQ, 0, elsewhere, ranges_);
    const Label low_of_small = out_.load(low_of(1));
    const Label huge = out_.branch(BPF_JEQ, ~0U, low_of_huge, ranges_);
    out_.branch(BPF_JEQ, 0, low_of_small, huge);
    const Label somewhere = out_.load(high_of(1));
    out_.branch(BPF_JSET, kMremapFixed, elsewhere, somewhere);
    return out_.load(low_of(3));
  }

  Label write_mremap() {
    if (what_.rare != 0) return write_mremap_leaving_rare();
    // An old size of 0, also by rounding up past the end of all numbers, stands for the page at the old
    // address.
    const auto source_then = [&](Label sized, Label next) {
      const Label one_byte = set_one_byte(0, next);
      out_.branch(BPF_JGT, low(0 - machine_.page_size), one_byte, sized);
      const Label low_of_huge = out_.load(low_of(1));
      out_.branch(BPF_JEQ, 0, one_byte, sized);
      const Label low_of_small = out_.load(low_of(1));
      const Label huge = out_.branch(BPF_JEQ, ~0U, low_of_huge, sized);
      out_.branch(BPF_JEQ, 0, low_of_small, huge);
      return out_.load(high_of(1));
    };
    const Label source = source_then(ranges_, ranges_search_);
    Label with_target = hit_;
    if (what_.exact) {
      const Label target = set_range(4, 2, ranges_search_);
      const Label found = search(what_.ranges, confirm(hit_, target), target);
      with_target = source_then(set_range(0, 1, found), found);
    }
    out_.branch(BPF_JSET, kMremapFixed, with_target, source);
    return out_.load(low_of(3));
  }

  Label write_madvise() {
    const bool notify_rare = what_.rare != 0 && what_.rare != SECCOMP_RET_ALLOW;
    if (what_.contents.empty() && !notify_rare) return other_;
    Label discards = allow_;
    if (!what_.contents.empty()) {
      discards = contents_search_ == ranges_search_ ? ranges_ : set_range(0, 1, contents_search_);
    }
    const Label elsewhere = what_.rare != 0 ? rare() : discards;
    Label next = allow_;
    for (const std::uint32_t advice : kDiscardingAdvice) {
      next = out_.branch(BPF_JEQ, advice, is_everyday(advice) ? discards : elsewhere, next);
    }
    return out_.load(low_of(2));
  }

  // The range of refused breaks lies inside the heap, so an argument is compared in full only near it.
  Label write_brk() {
    const Range& refused = what_.refused_breaks;
    if (refused.empty()) return other_;
    const Label answer = out_.ret(SECCOMP_RET_ERRNO | 0);
    const auto at_least = [&](std::uint64_t bound, Label yes, Label no) {
      out_.branch(BPF_JGE, low(bound), yes, no);
      const Label low_halves = out_.load(low_of(0));
      const Label equal = out_.branch(BPF_JEQ, high(bound), low_halves, no);
      out_.branch(BPF_JGT, high(bound), yes, equal);
      return out_.load(high_of(0));
    };
    const Label above_start = at_least(refused.end, allow_, answer);
    return at_least(refused.start, above_start, allow_);
  }

  Label write_hidden_if(std::uint32_t argument, std::uint32_t bits) {
    const Label hidden = out_.ret(what_.hidden);
    out_.branch(BPF_JSET, bits, hidden, allow_);
    return out_.load(low_of(argument));
  }

  Label write_ipc() {
    const Label hidden = out_.ret(what_.hidden);
    const Label detach = out_.branch(BPF_JEQ, kIpcShmdt, hidden, allow_);
    out_.branch(BPF_JEQ, kIpcShmat, hidden, detach);
    out_.mask(0xFFFF);
    return out_.load(low_of(0));
  }

  // Memory that another thread group shares is out of reach of later filters.
  Label write_clone() {
    const Label hidden = out_.ret(what_.hidden);
    out_.branch(BPF_JEQ, kCloneVm, hidden, allow_);
    out_.mask(kCloneVm | kCloneThread | kCloneVfork);
    return out_.load(low_of(0));
  }

  Label write_call(Call call) {
    switch (call) {
      case Call::mmap:
        return write_mmap();
      case Call::munmap:
        return ranges_;
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
        return what_.mseal != 0 ? out_.ret(what_.mseal) : other_;
      case Call::shmat:
        return what_.hidden != 0 ? write_hidden_if(2, kShmRemap) : other_;
      case Call::ipc:
        return what_.hidden != 0 ? write_ipc() : other_;
      case Call::clone:
        return what_.hidden != 0 ? write_clone() : other_;
      case Call::shmdt:
      case Call::io_destroy:
      case Call::old_mmap:
        return what_.hidden != 0 ? out_.ret(what_.hidden) : other_;
    }
    return other_;
  }

  struct Handler {
    std::uint32_t number;
    Label label;
  };
  using Handlers = FixedVector<Handler, kMostCalls>;

  // The handler of the number in A, among handlers [first, last).
  Label dispatch(const Handlers& handlers, std::size_t first, std::size_t last) {
    const std::size_t middle = first + (last - first) / 2;
    if (last == first) return other_;
    if (last - first == 1) return out_.branch(BPF_JEQ, handlers[first].number, handlers[first].label, other_);
    const Label below = dispatch(handlers, first, middle);
    const Label above = dispatch(handlers, middle, last);
    return out_.branch(BPF_JGE, handlers[middle].number, above, below);
  }

  // No call of the ABI can name an address as high as the lowest range.
  [[nodiscard]] bool out_of_reach(const Abi& abi) const {
    const bool breaks_too = what_.refused_breaks.empty() || what_.refused_breaks.start >= abi.reach;
    const bool ranges_too = what_.ranges.empty() || what_.ranges.front().start >= abi.reach;
    return abi.reach != 0 && what_.hidden == 0 && what_.mseal == 0 && ranges_too && breaks_too;
  }

  // `if (A == abi) dispatch else next`: the number follows the architecture, so that the kernel's bitmap of
  // calls with a constant answer works.
  Label write_abi(const Abi& abi, Label next) {
    if (out_of_reach(abi)) return next;
    Handlers handlers;
    for (const CallNumber& entry : abi.calls) {
      Label& handler = handlers_[static_cast<std::size_t>(entry.call)];
      if (handler == 0) handler = write_call(entry.call);
      if (handler != other_) (void)handlers.push_back({entry.number, handler});
    }
    out_.jump(dispatch(handlers, 0, handlers.size()));
    if (abi.first_foreign_number != 0 && what_.refuse_foreign) {
      const Label native = out_.front();
      const Label foreign = out_.ret(SECCOMP_RET_ERRNO | ENOSYS);
      out_.branch(BPF_JGE, abi.first_foreign_number, foreign, native);
    }
    const Label by_number = out_.load(kNumber);
    return out_.branch(BPF_JEQ, abi.audit_arch, by_number, next);
  }

  const Machine& machine_;
  const RangeProgram& what_;
  const Label other_;
  BpfProgram& out_;
  Label allow_ = 0;
  Label hit_ = 0;
  Label ranges_search_ = 0;
  Label contents_search_ = 0;
  Label ranges_ = 0;                          // arguments 0 and 1 are a range to look for
  std::array<Label, kCallKinds> handlers_{};  // one for all ABIs: they differ in numbers only
};

}  // namespace

bool compile(const Machine& machine, const RangeProgram& what, Label other, BpfProgram& program) {
  return Compiler(machine, what, other, program).run();
}

}  // namespace libmseal::policy
