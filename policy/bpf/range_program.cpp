#include "policy/bpf/range_program.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>

#include "policy/rules/mm_call.h"

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

// Scratch memory: the range in question, [start, end). From kSecond on another one, kept for later.
enum Slot : std::uint32_t { kStartLow, kStartHigh, kEndLow, kEndHigh, kSecond };

class Compiler {
  static constexpr std::size_t kMostCalls = 20;
  static constexpr std::size_t kCallKinds = 16;
  static_assert(kX86_64Calls.size() <= kMostCalls && kI386Calls.size() <= kMostCalls &&
                kAarch64Calls.size() <= kMostCalls);
  static_assert(static_cast<std::size_t>(Call::mseal) < kCallKinds);

 public:
  Compiler(const Machine& machine, const RangeProgram& what, Label other, BpfProgram& out)
      : machine_(machine), what_(what), other_(other), out_(out) {}

  bool run() {
    if (is_short()) return write_short();
    write_returns();
    allow_ = returning(SECCOMP_RET_ALLOW);
    deferred_ = defers_to_others() ? other_ : returning(what_.deferred);
    hit_ = returning(what_.denial);
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
  [[nodiscard]] bool defers() const { return what_.deferred != 0; }
  [[nodiscard]] bool defers_to_others() const {
    return what_.deferred == 0 || what_.deferred == SECCOMP_RET_ALLOW;
  }
  [[nodiscard]] bool notifies() const { return !defers_to_others(); }

  // All returns stand at the end of the program: the kernel's check (net/core/filter.c,
  // check_load_and_stores) takes what follows one for its continuation, and would miss there what is stored
  // on the other ways.
  void write_returns() {
    const auto need = [&](std::uint32_t action) {
      if (action != 0) add_return(action);
    };
    for (const std::uint32_t action : {std::uint32_t{SECCOMP_RET_ALLOW}, what_.denial, what_.notice,
                                       what_.shm_remap, what_.old_mmap, what_.io_destroy, what_.mseal})
      need(action);
    if (!defers_to_others()) need(what_.deferred);
    if (!what_.refused_breaks.empty() || !what_.attachments.empty()) need(kAnswerZero);
    if (what_.refuse_foreign) need(SECCOMP_RET_ERRNO | ENOSYS);
  }

  void add_return(std::uint32_t action) {
    for (const Return& one : returns_) {
      if (one.action == action) return;
    }
    (void)returns_.push_back({action, out_.ret(action)});
  }

  [[nodiscard]] Label returning(std::uint32_t action) const {
    for (const Return& one : returns_) {
      if (one.action == action) return one.at;
    }
    return other_;
  }

  // Not asked for anything that the first filter alone is for.
  [[nodiscard]] bool is_of_seals() const {
    return what_.notice == 0 && defers_to_others() && what_.shm_remap == 0 && what_.old_mmap == 0 &&
           what_.io_destroy == 0 && what_.mseal == 0 && !what_.refuse_foreign && !what_.refuse_huge_pages;
  }

  // ---- the short program of one seal ----

  // One range under one upper word, out of reach of every ABI but the native one, and nothing else asked for.
  // Then the architecture need not be looked at: no call of another one names an address so high.
  [[nodiscard]] bool is_short() const {
    const ProtectedRanges& denied = what_.denied;
    if (denied.ranges.size() != 1 || denied.contents.size() > 1) return false;
    if (!is_of_seals() || !defers()) return false;
    const Range& range = denied.ranges[0];
    constexpr std::uint64_t kReach = 1ULL << 33;  // 32-bit start and 32-bit length
    return what_.refused_breaks.empty() && range.start >= kReach &&
           high(range.start) == high(range.end - 1) &&
           (denied.contents.empty() || denied.contents[0] == range);
  }

  // The call is refused if it starts under the word, below the end of the range, and ends above the higher
  // one of the two starts: so it is not empty, nor does it cross a multiple of 4 GiB.
  bool write_short() {
    const Range& range = what_.denied.ranges[0];
    constexpr std::uint32_t kHigherStart = 0;  // scratch memory
    const Label hit = out_.ret(what_.denial);
    out_.branch_x(BPF_JGT, hit, other_);
    out_.load_scratch_x(kHigherStart);
    out_.add_x();
    out_.load(low_of(1));
    const Label found_start = out_.store_scratch(kHigherStart);
    const Label below = out_.load_value(low(range.start));
    out_.branch(BPF_JGE, low(range.start), found_start, below);
    const Label starts_below_end = out_.copy_to_x();
    const Label aligned = out_.branch(BPF_JGT, low(range.end - 1), other_, starts_below_end);
    out_.branch(BPF_JSET, low(machine_.page_size - 1), other_, aligned);
    const Label under_word = out_.load(low_of(0));
    out_.branch(BPF_JEQ, high(range.start), under_word, other_);
    if (high(machine_.address_mask) != ~0U) out_.mask(high(machine_.address_mask));
    const Label touches = out_.load(high_of(0));

    Label advise = other_;
    if (!what_.denied.contents.empty()) {
      for (const std::uint32_t advice : kEverydayAdvice)
        advise = out_.branch(BPF_JEQ, advice, touches, advise);
      advise = out_.load(low_of(2));
    }
    out_.branch(BPF_JEQ, kMapFixed, touches, other_);
    out_.mask(kMapFixed | kMapFixedNoreplace);
    const Label map = out_.load(low_of(3));
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

  // Where boundaries under one upper word are compared: by their distance from `origin`, a lower word. The
  // kernel translates a constant above 2 GiB to one instruction more, and counts its own instructions.
  struct Frame {
    std::uint32_t word = 0;
    std::uint32_t origin = 0;
    std::uint32_t end_slot = kEndLow;  // scratch memory: the end of the range in question, from the origin
  };

  // The outcome for an address between boundary `index` - 1 and boundary `index`; the ranges' starts and ends
  // are the boundaries, so an odd index lies inside a range.
  Label leaf(std::span<const Range> ranges, std::size_t index, const Frame& frame, Label hit, Label miss) {
    if (index % 2 == 1) return hit;
    if (index / 2 == ranges.size()) return miss;
    const std::uint64_t next = ranges[index / 2].start;
    if (!narrow_) return branch_end_past(next, hit, miss);
    if (frame.word != high(next)) return miss;
    out_.branch(BPF_JGT, low(next) - frame.origin, hit, miss);
    return out_.load_scratch(frame.end_slot);
  }

  static std::uint64_t boundary(std::span<const Range> ranges, std::size_t index) {
    return index % 2 == 0 ? ranges[index / 2].start : ranges[index / 2].end;
  }

  // Which interval holds the lower word in A, counted from the origin, knowing that the boundaries [first,
  // last) have the upper word of the address.
  Label search_low(std::span<const Range> ranges, std::size_t first, std::size_t last, const Frame& frame,
                   Label hit, Label miss) {
    if (first == last) return leaf(ranges, first, frame, hit, miss);
    const std::size_t middle = first + (last - first) / 2;
    const Label below = search_low(ranges, first, middle, frame, hit, miss);
    const Label above = search_low(ranges, middle + 1, last, frame, hit, miss);
    return out_.branch(BPF_JGE, low(boundary(ranges, middle)) - frame.origin, above, below);
  }

  // The same from the address in scratch memory.
  Label search_word(std::span<const Range> ranges, std::size_t first, std::size_t last, Label hit,
                    Label miss) {
    constexpr std::size_t kManyBoundaries = 8;
    Frame frame{high(boundary(ranges, first)), 0, kEndLow};
    if (!narrow_ || last - first < kManyBoundaries) {
      out_.jump(search_low(ranges, first, last, frame, hit, miss));
      return out_.load_scratch(kStartLow);
    }
    const Label before_all = leaf(ranges, first, frame, hit, miss);
    frame.origin = low(boundary(ranges, first));
    frame.end_slot = kEndHigh;  // free: the upper word is that of the start
    out_.jump(search_low(ranges, first + 1, last, frame, hit, miss));
    out_.add(0 - frame.origin);
    out_.load_scratch(kStartLow);
    out_.store_scratch(frame.end_slot);
    out_.add(0 - frame.origin);
    const Label from_origin = out_.load_scratch(kEndLow);
    out_.branch(BPF_JGE, frame.origin, from_origin, before_all);
    return out_.load_scratch(kStartLow);
  }

  // The same for the upper word in A, among all boundaries [first, last).
  Label search_high(std::span<const Range> ranges, std::size_t first, std::size_t last, Label hit,
                    Label miss) {
    if (first == last)
      return leaf(ranges, first, Frame{~0U, 0, kEndLow}, hit, miss);  // no address has that word
    const std::uint32_t word = high(boundary(ranges, first + (last - first) / 2));
    std::size_t same_first = first;
    while (high(boundary(ranges, same_first)) < word) ++same_first;
    std::size_t same_last = same_first;
    while (same_last < last && high(boundary(ranges, same_last)) == word) ++same_last;

    const Label below = search_high(ranges, first, same_first, hit, miss);
    const Label above = search_high(ranges, same_last, last, hit, miss);
    const Label same = search_word(ranges, same_first, same_last, hit, miss);
    const Label equal = out_.branch(BPF_JEQ, word, same, below);
    return out_.branch(BPF_JGT, word, above, equal);
  }

  Label search(std::span<const Range> ranges, Label hit, Label miss) {
    out_.jump(search_high(ranges, 0, ranges.size() * 2, hit, miss));
    return out_.load_scratch(kStartHigh);
  }

  // ---- the range of a call ----

  // The upper half of an argument: of an ABI with short arguments the kernel does not read it.
  Label load_high(std::uint32_t argument) {
    return short_arguments_ ? out_.load_value(0) : out_.load(high_of(argument));
  }

  // The same of an address, stripped of the bits that the kernel does not look at.
  Label load_high_of_address(std::uint32_t argument) {
    if (!short_arguments_ && high(machine_.address_mask) != ~0U) out_.mask(high(machine_.address_mask));
    return load_high(argument);
  }

  // scratch start = the argument.
  Label store_start(std::uint32_t argument) {
    out_.store_scratch(kStartLow);
    out_.load(low_of(argument));
    out_.store_scratch(kStartHigh);
    return load_high_of_address(argument);
  }

  // scratch = [argument `start`, + argument `length`), then on to `next`.
  Label set_range(std::uint32_t start, std::uint32_t length, Label next) {
    if (narrow_) return set_narrow_range(start, length, next);
    const auto upper_half = [&](bool carry) {
      out_.jump(next);
      out_.store_scratch(kEndHigh);
      if (carry) out_.add(1);
      out_.add_x();
      out_.load_scratch_x(kStartHigh);
      return load_high(length);
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

  // The same where a range that crosses a multiple of 4 GiB is somebody else's: its end has the upper word of
  // its start.
  Label set_narrow_range(std::uint32_t start, std::uint32_t length, Label next) {
    out_.branch_x(BPF_JGE, next, deferred_);  // the sum is below an addend only if it wrapped
    out_.store_scratch(kEndLow);
    out_.add_x();
    out_.load_scratch_x(kStartLow);
    const Label low_words = out_.load(low_of(length));
    if (!short_arguments_) {
      out_.branch(BPF_JEQ, 0, low_words, deferred_);
      out_.load(high_of(length));
    }
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
    if (narrow_) {  // it can't wrap
      out_.branch_x(BPF_JGT, hit, miss);
      out_.load_scratch_x(kStartLow);
      const Label not_empty = out_.load_scratch(kEndLow);
      out_.branch(BPF_JSET, low(machine_.page_size - 1), miss, not_empty);
      return out_.load_scratch(kStartLow);
    }
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

  // Among the denied ranges, then among the watched ones.
  Label search_both(std::span<const Range> denied, std::span<const Range> watched) {
    Label miss = allow_;
    if (what_.notice != 0 && !watched.empty()) miss = search(watched, returning(what_.notice), allow_);
    return denied.empty() ? miss : search(denied, confirm(hit_, allow_), miss);
  }

  void write_searches() {
    const auto same = [](std::span<const Range> one, std::span<const Range> other) {
      return std::equal(one.begin(), one.end(), other.begin(), other.end());
    };
    ranges_search_ = search_both(what_.denied.ranges, what_.watched.ranges);
    const bool one_search = same(what_.denied.ranges, what_.denied.contents) &&
                            same(what_.watched.ranges, what_.watched.contents);
    contents_search_ =
        one_search ? ranges_search_ : search_both(what_.denied.contents, what_.watched.contents);
  }

  // ---- the calls ----

  // Arguments 0 and 1 are a range to look for.
  Label ranges() {
    if (ranges_ == 0) ranges_ = set_range(0, 1, ranges_search_);
    return ranges_;
  }

  // `if (argument & mask) goto some; else goto none`
  Label branch_any(std::uint32_t argument, std::uint64_t mask, Label some, Label none) {
    if (high(mask) != 0 && !short_arguments_) {
      out_.branch(BPF_JSET, high(mask), some, none);
      none = out_.load(high_of(argument));
    }
    out_.branch(BPF_JSET, low(mask), some, none);
    return out_.load(low_of(argument));
  }

  // If huge pages of any size can lie at the address, but the length is not one of whole ones: if the range
  // is of huge pages, the kernel rounds the length up.
  Label if_partly_huge(std::uint32_t address, std::uint32_t length, Label partly, Label next) {
    Label others = next;
    for (const std::uint64_t size : machine_.huge_pages) {
      others = branch_any(address, size - 1, others, branch_any(length, size - 1, partly, others));
    }
    return others;
  }

  // scratch = [the multiple of 4 GiB above the address, + argument `length`), then on to `next`. Not for an
  // address that is one.
  Label set_range_above_line(std::uint32_t address, std::uint32_t length, Label next) {
    out_.jump(next);
    out_.store_scratch(kEndHigh);
    out_.add_x();
    out_.load_scratch_x(kStartHigh);
    load_high(length);
    out_.store_scratch(kEndLow);
    out_.load(low_of(length));
    out_.store_scratch(kStartLow);
    out_.load_value(0);
    out_.store_scratch(kStartHigh);
    out_.add(1);
    return load_high_of_address(address);
  }

  // Copies the range in question within scratch memory, then on to `next`.
  Label copy_range(std::uint32_t from, std::uint32_t to, Label next) {
    out_.jump(next);
    for (std::uint32_t slot = 0; slot < kSecond; ++slot) {
      out_.store_scratch(to + slot);
      out_.load_scratch(from + slot);
    }
    return out_.front();
  }

  // `next` is where the first of two ranges is looked for, after which comes the one that is in question now.
  Label keep_second(Label next) { return copy_range(0, kSecond, next); }

  // Looks for the range, then for the one that was kept.
  Label both_ranges() {
    if (both_search_ == 0) {
      const Label second = copy_range(kSecond, 0, ranges_search_);
      both_search_ = search(what_.denied.ranges, confirm(hit_, second), second);
    }
    return both_search_;
  }

  // A file may be a bpf arena, which goes behind the multiple of 4 GiB that it would cross.
  Label write_fixed_file() {
    const Label both = set_range_above_line(0, 1, keep_second(set_range(0, 1, both_ranges())));
    out_.branch_x(BPF_JGE, ranges(), both);  // the sum is below an addend only if it crossed one
    out_.add_x();
    out_.load(low_of(1));
    out_.copy_to_x();
    Label narrow = out_.load(low_of(0));
    if (!short_arguments_) {
      out_.branch(BPF_JEQ, 0, narrow, both);
      narrow = out_.load(high_of(1));
    }
    const Label aligned = out_.branch(BPF_JEQ, 0, ranges(), narrow);
    out_.branch(BPF_JSET, low(machine_.page_size - 1), allow_, aligned);
    return out_.load(low_of(0));
  }

  Label write_mmap() {
    Label fixed = ranges();
    if (!defers()) {
      const Label file = write_fixed_file();
      out_.branch(BPF_JSET, kMapAnonymous, ranges(), file);
      fixed = out_.load(low_of(3));
    }
    if (notifies()) {
      // A file may lie on hugetlbfs, where whole huge pages are replaced.
      const Label file = if_partly_huge(0, 1, deferred_, ranges());
      out_.branch(BPF_JSET, kMapAnonymous, ranges(), file);
      fixed = out_.load(low_of(3));
    }
    const Label replaces = out_.branch(BPF_JSET, kMapFixedNoreplace, allow_, fixed);
    const Label ordinary = out_.branch(BPF_JSET, kMapFixed, replaces, allow_);
    if (tells_of_huge_pages()) out_.branch(BPF_JSET, kMapHugetlb, huge_pages(), ordinary);
    return out_.load(low_of(3));
  }

  Label write_mprotect() {
    if (!notifies() && !what_.refuse_grows_down) return ranges();
    out_.branch(BPF_JEQ, kProtGrowsDown, notifies() ? deferred_ : hit_, ranges());
    out_.mask(kProtGrowsDown | kProtGrowsUp);
    return out_.load(low_of(2));
  }

  // Nobody has a reason to call it with an unaligned start, which the kernel would round down.
  Label write_remap_file_pages() {
    if (defers()) return deferred_;
    out_.branch(BPF_JSET, low(machine_.page_size - 1), hit_, ranges());
    return out_.load(low_of(0));
  }

  Label write_mremap_deferring() {
    // No size: nothing in the lower word, and what has something in the upper one is wide.
    out_.branch(BPF_JEQ, 0, deferred_, ranges());
    const Label somewhere = out_.load(low_of(1));
    out_.branch(BPF_JSET, kMremapFixed, deferred_, somewhere);
    return out_.load(low_of(3));
  }

  Label write_mremap() {
    if (defers()) return write_mremap_deferring();
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
      return load_high(1);
    };
    const Label source = source_then(ranges(), ranges_search_);
    const Label sized = set_range(0, 1, both_ranges());
    const Label target = set_range(4, 2, keep_second(source_then(sized, both_ranges())));
    const Label with_target = if_partly_huge(4, 2, hit_, target);
    out_.branch(BPF_JSET, kMremapFixed, with_target, source);
    return out_.load(low_of(3));
  }

  Label write_madvise() {
    const bool looks = !what_.denied.contents.empty() || !what_.watched.contents.empty();
    if (!looks && !notifies()) return other_;
    const Label discards = contents_search_ == ranges_search_ ? ranges() : set_range(0, 1, contents_search_);
    const Label elsewhere = defers() ? deferred_ : discards;
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
    const Label answer = returning(kAnswerZero);
    const auto at_least = [&](std::uint64_t bound, Label yes, Label no) {
      out_.branch(BPF_JGE, low(bound), yes, no);
      const Label low_halves = out_.load(low_of(0));
      const Label equal = out_.branch(BPF_JEQ, high(bound), low_halves, no);
      out_.branch(BPF_JGT, high(bound), yes, equal);
      return load_high(0);
    };
    const Label above_start = at_least(refused.end, allow_, answer);
    return at_least(refused.start, above_start, allow_);
  }

  Label write_shmat(std::uint32_t flags) {
    if (what_.shm_remap == 0) return other_;
    out_.branch(BPF_JSET, kShmRemap, returning(what_.shm_remap), other_);
    return out_.load(low_of(flags));
  }

  // Who makes huge pages is told of, or goes without.
  [[nodiscard]] bool tells_of_huge_pages() const { return notifies() || what_.refuse_huge_pages; }
  Label huge_pages() { return notifies() ? deferred_ : hit_; }

  Label write_shmget(std::uint32_t flags) {
    if (!tells_of_huge_pages()) return other_;
    out_.branch(BPF_JSET, kShmHugetlb, huge_pages(), other_);
    return out_.load(low_of(flags));
  }

  Label write_shmdt(std::uint32_t address) {
    if (defers()) return deferred_;
    Label next = other_;
    for (const std::uint64_t attachment : what_.attachments) {
      const Label answer = returning(kAnswerZero);
      out_.branch(BPF_JEQ, high(attachment), answer, next);
      const Label high_half = load_high_of_address(address);
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
    const Label not_detach = out_.branch(BPF_JEQ, kIpcShmget, make, other_);
    const Label not_attach = out_.branch(BPF_JEQ, kIpcShmdt, detach, not_detach);
    out_.branch(BPF_JEQ, kIpcShmat, attach, not_attach);
    out_.mask(0xFFFF);
    return out_.load(low_of(0));
  }

  Label write_call(Call call) {
    switch (call) {
      case Call::mmap:
        return write_mmap();
      case Call::munmap:
        return ranges();
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
        return what_.mseal != 0 ? returning(what_.mseal) : other_;
      case Call::shmat:
        return write_shmat(2);
      case Call::shmdt:
        return write_shmdt(0);
      case Call::ipc:
        return write_ipc();
      case Call::io_setup:
        return other_;
      case Call::io_destroy:
        return what_.io_destroy != 0 ? returning(what_.io_destroy) : other_;
      case Call::shmget:
        return write_shmget(2);
      case Call::old_mmap:
        return what_.old_mmap != 0 ? returning(what_.old_mmap) : other_;
    }
    return other_;
  }

  static constexpr std::uint32_t kAnswerZero = SECCOMP_RET_ERRNO | 0;

  struct Return {
    std::uint32_t action;
    Label at;
  };

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
    const auto above = [&](std::uint64_t address) { return address >= abi.reach(); };
    const auto& ranges = what_.denied.ranges;
    return abi.reach() != 0 && is_of_seals() && (ranges.empty() || above(ranges.front().start)) &&
           (what_.refused_breaks.empty() || above(what_.refused_breaks.start)) &&
           std::all_of(what_.attachments.begin(), what_.attachments.end(), above);
  }

  // `if (A == abi) dispatch else next`: the number follows the architecture, so that the kernel's bitmap of
  // calls with a constant answer works.
  Label write_abi(const Abi& abi, Label next) {
    if (out_of_reach(abi)) return next;
    if (abi.has_short_arguments() != short_arguments_) {
      short_arguments_ = abi.has_short_arguments();
      handlers_ = {};
      ranges_ = 0;
    }
    Handlers handlers;
    for (const CallNumber& entry : abi.calls) {
      Label& handler = handlers_[static_cast<std::size_t>(entry.call)];
      if (handler == 0) handler = write_call(entry.call);
      if (handler != other_) (void)handlers.push_back({entry.number, handler});
    }
    out_.jump(dispatch(handlers, 0, handlers.size()));
    if (abi.first_foreign_number != 0 && what_.refuse_foreign) {
      const Label native = out_.front();
      const Label foreign = returning(SECCOMP_RET_ERRNO | ENOSYS);
      // -1 is how a tracer skips a call: its answer counts.
      const Label not_skipped = out_.branch(BPF_JEQ, ~0U, other_, foreign);
      out_.branch(BPF_JGE, abi.first_foreign_number, not_skipped, native);
    }
    const Label by_number = out_.load(kNumber);
    return out_.branch(BPF_JEQ, abi.audit_arch, by_number, next);
  }

  const Machine& machine_;
  const RangeProgram& what_;
  const Label other_;
  const bool narrow_ = what_.deferred != 0;  // a range that crosses a multiple of 4 GiB is somebody else's
  BpfProgram& out_;
  FixedVector<Return, 12> returns_;
  Label allow_ = 0;
  Label deferred_ = 0;
  Label hit_ = 0;
  Label ranges_search_ = 0;
  Label contents_search_ = 0;
  Label both_search_ = 0;

  // Of the ABI that is being written; those with arguments of one width share them.
  bool short_arguments_ = false;
  Label ranges_ = 0;
  std::array<Label, kCallKinds> handlers_{};
};

}  // namespace

bool compile(const Machine& machine, const RangeProgram& what, Label other, BpfProgram& program) {
  return Compiler(machine, what, other, program).run();
}

}  // namespace libmseal::policy
