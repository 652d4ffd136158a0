#include "policy/bpf/interval_search.h"

#include "policy/bpf/call_fields.h"

namespace libmseal::policy {
namespace {

using Label = BpfProgram::Label;

// Consecutive boundaries of sorted ranges, which are alternately starts and ends.
struct Boundaries {
  std::span<const Range> ranges;
  std::size_t first;
  std::size_t last;
  Label hit;

  explicit Boundaries(const RangeTarget& target)
      : ranges(target.ranges), first(0), last(target.ranges.size() * 2), hit(target.hit) {}

  [[nodiscard]] std::size_t size() const { return last - first; }
  [[nodiscard]] std::uint64_t at(std::size_t index) const {
    return index % 2 == 0 ? ranges[index / 2].start : ranges[index / 2].end;
  }
  [[nodiscard]] std::size_t middle() const { return first + size() / 2; }
  // Whether the interval before the first boundary is a range.
  [[nodiscard]] bool start_inside() const { return first % 2 == 1; }
  [[nodiscard]] Boundaries part(std::size_t from, std::size_t to) const {
    Boundaries some = *this;
    some.first = from;
    some.last = to;
    return some;
  }
  // The first boundary whose upper word is at least `word`.
  [[nodiscard]] std::size_t find_word(std::uint64_t word) const {
    std::size_t index = first;
    while (index < last && at(index) >> 32 < word) ++index;
    return index;
  }
};

class Search {
 public:
  Search(CallRange& range, BpfProgram& program) : range_(range), out_(program) {}

  // Searches by the upper word, which is in A.
  Label by_word(const Boundaries& denied, const Boundaries& watched, Label miss) {
    const Boundaries& more = denied.size() >= watched.size() ? denied : watched;
    if (more.size() == 0) return interval(denied, interval(watched, miss));
    const std::uint64_t word = high(more.at(more.middle()));
    const std::size_t d = denied.find_word(word);
    const std::size_t d_end = denied.find_word(word + 1);
    const std::size_t w = watched.find_word(word);
    const std::size_t w_end = watched.find_word(word + 1);
    const Label below = by_word(denied.part(denied.first, d), watched.part(watched.first, w), miss);
    const Label above = by_word(denied.part(d_end, denied.last), watched.part(w_end, watched.last), miss);
    const Label second = under_word(watched.part(w, w_end), miss, true);
    const Label same = under_word(denied.part(d, d_end), second, w == w_end);
    if (same == above) return branch(BPF_JGE, low(word), above, below);
    if (same == below) return branch(BPF_JGT, low(word), above, below);
    const Label not_above = branch(BPF_JEQ, low(word), same, below);
    return above == below ? not_above : branch(BPF_JGT, low(word), above, not_above);
  }

 private:
  // Writes no instruction if both targets are the same.
  Label branch(std::uint16_t condition, std::uint32_t value, Label yes, Label no) {
    return yes == no ? yes : out_.branch(condition, value, yes, no);
  }

  // The outcome for an address in the interval before the first boundary.
  Label interval(const Boundaries& all, Label miss, std::uint32_t word, std::uint32_t origin) {
    if (all.start_inside()) return all.hit;
    if (all.first / 2 == all.ranges.size()) return miss;
    const std::uint64_t next = all.at(all.first);
    if (range_.is_narrow() && high(next) != word) return miss;
    return range_.branch_end_past(next, origin, all.hit, miss);
  }
  // The same for an upper word without boundaries.
  Label interval(const Boundaries& all, Label miss) { return interval(all, miss, ~0U, 0); }

  // Searches by the lower word, which is in A, relative to the origin.
  Label by_low_word(const Boundaries& some, Label miss, std::uint32_t word, std::uint32_t origin) {
    if (some.size() == 0) return interval(some, miss, word, origin);
    const std::size_t middle = some.middle();
    const std::uint32_t bound = low(some.at(middle)) - origin;
    const bool all_above = bound == 0;
    const Label above = by_low_word(some.part(middle + 1, some.last), miss, word, origin);
    const Label below = all_above ? miss : by_low_word(some.part(some.first, middle), miss, word, origin);
    return all_above ? above : branch(BPF_JGE, bound, above, below);
  }

  // Searches boundaries that all have the upper word of the address. The kernel's limit counts translated
  // instructions, and a constant above 2 GiB takes one more. So if there are many boundaries, they are
  // taken relative to the first one, unless another search follows.
  Label under_word(const Boundaries& some, Label miss, bool is_last) {
    constexpr std::size_t kMany = 16;
    if (some.size() == 0) return interval(some, miss);
    const std::uint32_t word = high(some.at(some.first));
    const std::uint32_t origin = low(some.at(some.first));
    if (!range_.is_narrow() || !is_last || some.size() < kMany) {
      const Label found = by_low_word(some, miss, word, 0);
      if (found == miss || found == some.hit) return found;
      out_.jump(found);
      return range_.load_start_low();
    }
    const Label before_all = interval(some, miss, word, 0);
    const Label from_origin =
        range_.count_from(origin, by_low_word(some.part(some.first + 1, some.last), miss, word, origin));
    out_.branch(BPF_JGE, origin, from_origin, before_all);
    return range_.load_start_low();
  }

  CallRange& range_;
  BpfProgram& out_;
};

}  // namespace

BpfProgram::Label search_intervals(const RangeTarget& denied, const RangeTarget& watched,
                                   BpfProgram::Label miss, CallRange& range, BpfProgram& program) {
  Search search(range, program);
  return range.begin_search(search.by_word(Boundaries(denied), Boundaries(watched), miss));
}

}  // namespace libmseal::policy
