#include "tests/differential/generator.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include <algorithm>
#include <array>
#include <deque>
#include <initializer_list>
#include <iterator>
#include <random>

namespace libmseal::tests {
namespace {

// Those that are one system call, which anybody can make.
bool is_call(const operation& one) {
  return one.kind <= op_shmdt;
}

// Chooses operations by what the sequence will have sealed by then, at least.
class Generator {
 public:
  Generator(Family family, std::uint64_t seed, bool i386)
      : i386_(i386), random_(seed * 16 + static_cast<std::uint64_t>(family)) {
    family_ = family;
    constexpr std::uint64_t kFar = 0x10'0000'0000;
    constexpr std::uint64_t kLow = 0x2000'0000;  // where images are placed without ASLR
    constexpr std::uint64_t kBelow = 0xC000'0000;
    constexpr std::uint64_t kEdge = 0x1'0000'0000;
    switch (family) {
      case Family::pages:
        arena_ = kFar;
        break;
      case Family::heap:
        arena_ = one_of({kLow, kBelow, kEdge - 24 * PAGE, kEdge, kFar});
        start_heap();
        break;
      case Family::i386:
      case Family::mixed:
        arena_ = one_of({kLow, kBelow, kEdge - 24 * PAGE, kEdge, kFar});
        break;
      case Family::limits:
        arena_ = kLow;
        start_limits();
        break;
      default:
        arena_ = one_of({kLow, kFar});
        break;
    }
  }

  [[nodiscard]] std::uint64_t arena() const { return arena_; }

  operation next() {
    if (pending_.empty()) push(choose());
    operation one = pending_.front();
    pending_.pop_front();
    const bool several = is_call(one) && one.kind != op_shmat;  // namespaces are a thread's own
    const bool often = family_ == Family::sharers;
    if ((several || one.kind == op_mseal) && below(4) == 0) one.caller = by_thread;
    if (several && (often ? below(3) == 0 : is(Family::sharers) && below(10) == 0)) {
      one.caller = one_of({by_thread, by_vfork_child, by_sharer, by_sibling});
    }
    if (i386_ && one.kind <= op_brk && one.kind != op_remap_file_pages && is(Family::i386) && below(3) != 0 &&
        stays_in_arena(one)) {
      one.garbage = below(5) != 0 || one.kind == op_brk ? 1 : static_cast<unsigned>(random_()) | 2;
    }
    return one;
  }

 private:
  static constexpr int kMostSeals = 24;  // each costs a filter, and the kernel takes so many
  static constexpr int kMostForks = 4;

  // Whether the call, made by i386, which reads the lower halves of arguments only, stays away from the
  // twin's own image and heap, which are somewhere in the first GiB.
  [[nodiscard]] bool stays_in_arena(const operation& one) const {
    constexpr std::uint64_t kImage = 0x40'0000;
    constexpr std::uint64_t kRoom = 64 << 20;  // start_elsewhere() keeps the heap out of it
    const auto low = [](std::uint64_t argument) { return argument & 0xFFFF'FFFF; };
    const auto stays = [&](std::uint64_t start, std::uint64_t length) {
      const std::uint64_t end = low(start) + low(length);
      return end <= kImage || (start >> 32 == 0 && start >= arena_ && end <= arena_ + kRoom);
    };
    if (one.kind == op_brk) return true;
    if (one.kind != op_mremap) return stays(one.a[0], one.a[1]);
    // A target at 0 may be refused, for it may be that of a huge page, and what is there nobody puts back.
    return stays(one.a[0], std::max(low(one.a[1]), low(one.a[2]))) && low(one.a[4]) != 0 &&
           stays(one.a[4], one.a[2]);
  }

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  template <class T, std::size_t Size>
  T one_of(const T (&values)[Size]) {
    return values[below(Size)];
  }
  [[nodiscard]] std::uint64_t address(std::uint64_t page) const { return arena_ + page * PAGE; }
  // As slot_start() of world.h.
  [[nodiscard]] std::uint64_t huge_slot(std::uint64_t index) const {
    return (address(PAGES) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE + (8 + index) * HUGE_PAGE;
  }
  [[nodiscard]] bool is(Family family) const { return family_ == family || family_ == Family::mixed; }

  void push(const operation& one) { pending_.push_back(one); }
  void push(operation_kind kind, std::initializer_list<std::uint64_t> arguments = {}) {
    push(make(kind, arguments));
  }
  static operation make(operation_kind kind, std::initializer_list<std::uint64_t> arguments = {}) {
    operation one{};
    one.kind = kind;
    std::ranges::copy(arguments, std::begin(one.a));
    return one;
  }

  [[nodiscard]] bool surely_sealed(std::uint64_t at, std::uint64_t size) const {
    for (std::uint64_t page = (at - arena_) / PAGE; page < PAGES && address(page) < at + size; ++page) {
      if (sealed_[page]) return true;
    }
    return false;
  }

  operation take() {
    const operation first = pending_.front();
    pending_.pop_front();
    return first;
  }

  // Puts memory there, and seals it.
  void seal_fresh(std::uint64_t first, std::uint64_t count) {
    if (seals_++ >= kMostSeals) return;
    for (std::uint64_t page = first; page < std::min(first + count, PAGES); ++page) push(op_fresh, {page});
    seal_as_it_is(first, count);
  }
  void seal_as_it_is(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t end = std::min(first + count, PAGES);
    for (std::uint64_t page = first; page < end; ++page) sealed_[page] = true;
    push(op_mseal, {address(first), (end - first) * PAGE, 0});
  }
  bool may_seal() { return seals_ < kMostSeals && ++seals_ > 0; }

  operation choose() {
    Family family = family_;
    if (family == Family::mixed)
      family = static_cast<Family>(below(static_cast<std::uint64_t>(Family::mixed)));
    if (below(3) == 0) {
      choose_special(family);
      if (!pending_.empty()) return take();
    }
    return choose_common();
  }

  void choose_special(Family family) {
    const std::uint64_t first = below(PAGES - 8);
    const std::uint64_t at = address(first);
    const std::uint64_t count = 1 + below(3);
    switch (family) {
      case Family::huge:
        return choose_huge(first, count);
      case Family::rings:
        return choose_ring(first, count);
      case Family::segments:
        return choose_segment(first, count);
      case Family::heap:
        return choose_heap();
      case Family::stacks:
        return choose_stack(first, count);
      case Family::i386:
        if (i386_ && at >> 32 == 0 && below(4) == 0)  // elsewhere it would map something out of the arena
          push(op_old_mmap, {at, count * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED});
        return;
      case Family::sharers:
        if (below(8) != 0 || !may_seal()) return;
        for (std::uint64_t page = first; page < first + count; ++page) push(op_fresh, {page});
        return push(op_mseal_shared, {at, count * PAGE, below(sharings)});
      case Family::images:
        return choose_image(at, count * PAGE);
      case Family::limits:
        return choose_limit();
      case Family::pages:
      case Family::mixed:
        break;
    }
    constexpr std::uint64_t kBlockedCalls[] = {op_io_uring_setup, op_uselib, op_memfd_create_huge};
    if (below(20) == 0) push(static_cast<operation_kind>(one_of(kBlockedCalls)));
  }

  void choose_huge(std::uint64_t first, std::uint64_t count) {
    // The page of the arena where a huge page can begin.
    const std::uint64_t window = arena_ % HUGE_PAGE == 0 ? arena_ : (arena_ / HUGE_PAGE + 1) * HUGE_PAGE;
    const std::uint64_t slot = huge_slot(below(HUGE_SLOTS));
    const std::uint64_t part = slot + (below(2) == 0 ? 0 : below(HUGE_PAGE / PAGE) * PAGE);
    const std::uint64_t size = one_of({PAGE, PAGE, count * PAGE, HUGE_PAGE});
    const std::uint64_t fixed = MAP_FIXED | MAP_NORESERVE;
    switch (below(10)) {
      case 0:
      case 1:
        return push(op_fresh, {PAGES + below(HUGE_SLOTS)});
      case 2:  // its whole, or a part
        if (below(4) == 0 && may_seal())
          push(op_mseal, {below(2) == 0 ? slot : part, below(3) == 0 ? HUGE_PAGE : size, 0});
        return;
      case 3:
      case 4:
        return push(op_mremap, {below(3) == 0 ? part : slot, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                                one_of({window, window, address(first), huge_slot(below(HUGE_SLOTS))})});
      case 5:  // of small pages
        return push(op_mremap, {address(first), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, window});
      case 6:
        return push(op_mmap,
                    {one_of({window, window, slot, address(first)}), size, PROT_READ | PROT_WRITE,
                     fixed | static_cast<std::uint64_t>(one_of({MAP_SHARED, MAP_PRIVATE})), huge_file});
      case 7:
        return push(op_mmap, {one_of({window, window, slot}), size, PROT_READ | PROT_WRITE,
                              fixed | MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, no_file});
      case 8:
        return below(2) == 0 ? push(op_munmap, {part, size}) : push(op_mprotect, {part, size, PROT_READ});
      default:  // what is moved away is not sealed, says who sealed a part of it
        if (below(3) == 0 && may_seal()) {
          push(op_fresh, {PAGES});
          push(op_mseal, {huge_slot(0) + PAGE, PAGE, 0});
          push(op_mremap, {huge_slot(0), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, huge_slot(1)});
        }
        return;
    }
  }

  void choose_ring(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t ring = below(RINGS);
    const std::uint64_t events = one_of({1UL, 64UL, 200UL, 500UL});
    switch (below(8)) {
      case 0:
      case 1:
        return push(op_io_setup, {ring, events});
      case 2:
        return push(op_io_destroy, {ring});
      case 3:
        return push(op_forge_ring, {ring});
      case 4:
      case 5:
        return push(op_move_ring, {ring, one_of({1UL, 1UL, 2UL, 16UL}), address(first)});
      case 6:  // its first page goes to before a seal
        push(op_io_destroy, {ring});
        push(op_io_setup, {ring, events});
        push(op_move_ring, {ring, 1, address(first)});
        if (below(3) == 0) seal_fresh(first + 1 + below(2), count);
        return push(op_io_destroy, {ring});
      default:  // it is gone, and something sealed is in its place
        push(op_io_destroy, {ring});
        push(op_io_setup, {ring, events});
        push(op_move_ring, {ring, 16, address(first)});
        push(op_munmap, {address(first), 8 * PAGE});
        for (std::uint64_t page = first; page < first + 4; ++page) push(op_fresh, {page});
        push(op_forge_ring, {ring});
        if (below(3) == 0 && may_seal()) seal_as_it_is(first + below(2), count);
        return push(op_io_destroy, {ring});
    }
  }

  void choose_segment(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t at = address(first);
    const std::uint64_t segment = below(12) == 0 ? 2 : below(2);  // 2 is of huge pages
    const std::uint64_t window = arena_ % HUGE_PAGE == 0 ? arena_ : (arena_ / HUGE_PAGE + 1) * HUGE_PAGE;
    const auto attach = [&](std::uint64_t which) {
      push(op_munmap, {at, LARGEST_SEGMENT});
      push(op_shmat, {which, at, 0});
    };
    switch (below(9)) {
      case 0:
        return attach(segment);
      case 1:
      case 2:
        return push(op_shmat, {segment, segment == 2 ? window : at, SHM_REMAP});
      case 3:
        return push(op_shmdt, {at});
      case 4:
        return push(op_mmap,
                    {at, count * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, segment_like_file});
      case 5:
        if (below(10) == 0 && ++namespaces_ <= 2) push(op_unshare, {CLONE_NEWIPC});
        return;
      case 6:
        if (below(4) != 0 || !may_seal()) return;
        attach(1);
        return seal_as_it_is(first + below(6), count);
      default:  // something else where it began
        attach(1);
        if (below(4) == 0 && may_seal()) seal_as_it_is(first + 1 + below(5), count);
        push(op_mmap, {at, (1 + below(2)) * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED,
                       one_of({std::uint64_t{segment_like_file}, std::uint64_t{plain_file}})});
        return push(op_shmdt, {at});
    }
  }

  void choose_heap() {
    const std::uint64_t first = HEAP_PAGE + below(PAGES - HEAP_PAGE);
    const std::uint64_t count = std::min(1 + below(3), PAGES - first);
    const std::uint64_t end = address(PAGES);
    switch (below(8)) {
      case 0:
      case 1:
        return push(op_brk, {address(first) - below(2) * below(PAGE)});
      case 2:  // up again, where nothing is in the way
        push(op_munmap, {address(HEAP_PAGE + 6), end - address(HEAP_PAGE + 6)});
        return push(op_brk, {end - below(3) * PAGE});
      case 3:
        return push(op_mmap,
                    {address(first), count * PAGE, PROT_READ | PROT_WRITE,
                     MAP_FIXED | static_cast<std::uint64_t>(one_of({MAP_SHARED, MAP_PRIVATE})), plain_file});
      case 4:
        if (below(4) == 0 && may_seal()) seal_as_it_is(first, count);
        return;
      case 5:  // a file
        if (below(4) != 0 || !may_seal()) return;
        push(op_mmap, {address(first), count * PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE, plain_file});
        seal_as_it_is(first, count);
        return push(op_brk, {address(HEAP_PAGE + below(4))});
      case 6:  // its first pages are not there, or are a file's
        push(op_munmap, {address(HEAP_PAGE), PAGE});
        if (below(2) == 0) {
          push(op_mmap, {address(HEAP_PAGE), PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE, plain_file});
        }
        return push(op_brk, {address(HEAP_PAGE)});
      default:
        return push(op_brk, {address(HEAP_PAGE + below(2) * below(PAGES - HEAP_PAGE))});
    }
  }

  // While the whole heap is there: once the break is down, seals keep it there.
  void start_heap() {
    const std::uint64_t first = HEAP_PAGE + 1 + below(PAGES - HEAP_PAGE - 3);
    const auto map_file = [&](std::uint64_t page) {
      push(op_mmap, {address(page), PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE, plain_file});
    };
    switch (below(4)) {
      case 0:
        map_file(first);
        seal_as_it_is(first, 1);
        break;
      case 1:
        push(op_munmap, {address(HEAP_PAGE), PAGE});
        seal_as_it_is(first, 2);
        push(op_fresh, {HEAP_PAGE});
        break;
      case 2:
        seal_as_it_is(first, 2);
        map_file(HEAP_PAGE);
        break;
      default:
        return;
    }
    ++seals_;
    push(op_brk, {address(HEAP_PAGE)});
  }

  void choose_stack(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t at = address(first);
    constexpr std::uint64_t kStack = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN;
    constexpr std::uint64_t kGrowsDown = 0x01000000;
    const auto prot = static_cast<std::uint64_t>(one_of({PROT_READ, PROT_READ | PROT_WRITE}));
    switch (below(6)) {
      case 0:
      case 1:
        return push(op_mmap, {at, count * PAGE, PROT_READ | PROT_WRITE, kStack, no_file});
      case 2:
      case 3:
        return push(op_mprotect, {at, PAGE, prot | kGrowsDown});
      case 4:  // from above the seal
        push(op_mmap, {at, 4 * PAGE, PROT_READ | PROT_WRITE, kStack, no_file});
        if (below(4) == 0 && may_seal()) seal_as_it_is(first, count);
        return push(op_mprotect, {at + 3 * PAGE, PAGE, prot | kGrowsDown});
      default:
        if (below(8) != 0 || !may_seal()) return;
        push(op_mmap, {at, PAGE, PROT_READ | PROT_WRITE, kStack, no_file});
        seal_as_it_is(first, 1);
        if (!sealed_[first + 1]) push(op_race_stack, {at + PAGE});
        return;
    }
  }

  void choose_image(std::uint64_t at, std::uint64_t size) {
    switch (below(30)) {
      case 0:
        if (++leaders_ <= 2) push(op_leader_exits);
        return;
      case 2:
        if (++mount_namespaces_ <= 1) push(op_unshare, {CLONE_NEWNS});
        return;
      case 3:
        if (++namespaces_ <= 1) push(op_unshare, {CLONE_NEWIPC});
        return;
      case 4:
      case 5:
      case 6:
        return push(op_exec_child, {at, size});
      case 7:
        return push(op_children, {1 + below(3), below(2)});
      default:
        return;
    }
  }

  // So many children, and the program that is sealed from the start; of which the first thread may be gone.
  void start_limits() {
    if (below(2) == 0) push(op_leader_exits);
    push(op_children, {132, below(3) == 0 ? 0 : 1UL});
    push(op_protect_text);
  }

  void choose_limit() {
    switch (below(60)) {
      case 0:
      case 1:
        if (below(2) == 0 && ++crowds_ <= 1) push(op_children, {132, 0});
        return;
      case 2:
        if (++leaders_ <= 1) push(op_leader_exits);
        return;
      case 3:
        return push(op_limit_supervisor, {one_of({4UL, 12UL, 16UL, 32UL})});
      case 4:
        return push(op_children, {1 + below(3), 1});
      default:
        return below(4) == 0 ? push(op_protect_text) : void();
    }
  }

  operation choose_common() {
    const std::uint64_t first = below(PAGES);
    const std::uint64_t count = 1 + below(below(4) == 0 ? 12 : 3);
    std::uint64_t at = address(first);
    std::uint64_t size = count * PAGE - below(2) * below(PAGE);
    size = std::min(size, (PAGES - first) * PAGE);
    const bool touches = surely_sealed(at, size);
    const bool odd = below(13) == 0;
    if (odd) {
      switch (below(3)) {
        case 0:
          at += 1 + below(PAGE - 1);
          break;
        case 1:
          size = 0;
          break;
        default:
          size = -PAGE * below(3) - 1;
          break;
      }
    }
    const auto prot = static_cast<std::uint64_t>(
        one_of({PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC}));
    switch (below(60)) {
      case 0:
        return forks_++ < kMostForks ? make(op_fork) : make(op_munmap, {at, size});
      case 1:
        // Unaligned ones have attacks of their own: what the kernel rounds down, ours refuses.
        return make(op_remap_file_pages, {address(first), count * PAGE, 0, below(3), 0});
      case 2:
      case 3:
        return make(op_shmat, {0, at, SHM_REMAP});
      case 4:
        return make(op_shmdt, {at});
      case 5:
      case 6:
        if (may_seal()) {
          const operation seal = make(op_mseal, {at, size, 0});
          // On whatever is there, which may be a hole; or on memory, so that it is sealed for sure.
          if (odd || below(4) == 0) return seal;
          for (std::uint64_t page = first; page < PAGES && address(page) < at + size; ++page) {
            push(op_fresh, {page});
            sealed_[page] = true;
          }
          push(seal);
          return make(op_fresh, {first});
        }
        [[fallthrough]];
      case 7:
      case 8:
      case 9:
      case 10:
      case 11:
      case 12:
      case 13:
      case 14:
      case 15:
      case 16:
        return make(op_fresh, {first});
      case 17:
      case 18:
        return make(op_pkey_mprotect, {at, size, prot, static_cast<std::uint64_t>(one_of({-1, 0, 99}))});
      default:
        break;
    }
    switch (below(5)) {
      case 0:
        return make(op_mmap, {at, size, prot,
                              static_cast<std::uint64_t>(MAP_ANONYMOUS |
                                                         one_of({MAP_FIXED, MAP_FIXED, MAP_FIXED_NOREPLACE}) |
                                                         (below(4) == 0 ? MAP_SHARED : MAP_PRIVATE)),
                              no_file});
      case 1:
        return make(op_munmap, {at, size});
      case 2:
        return make(op_mprotect,
                    {at, size, prot | one_of({0UL, 0UL, 0UL, 0UL, 0UL, 0x01000000UL, 0x02000000UL})});
      case 3:
        return make(op_madvise,
                    {at, size,
                     static_cast<std::uint64_t>(
                         one_of({MADV_NORMAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_DONTFORK,
                                 MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTNEED_LOCKED, 77}))});
      default: {
        // The kernel's seals split mappings and ours do not, and an mremap across a split fails.
        if (!touches) size = std::min(size, PAGE);
        const std::uint64_t flags = below(3) == 0 ? MREMAP_MAYMOVE | MREMAP_FIXED : 0;
        return make(op_mremap, {at, size, (1 + below(6)) * PAGE, flags, address(below(PAGES - 6))});
      }
    }
  }

  bool i386_;
  std::mt19937_64 random_;
  Family family_ = Family::pages;
  std::uint64_t arena_ = 0;
  std::deque<operation> pending_;
  std::array<bool, PAGES> sealed_{};
  int seals_ = 0;
  int forks_ = 0;
  int leaders_ = 0;
  int crowds_ = 0;
  int namespaces_ = 0;
  int mount_namespaces_ = 0;
};

}  // namespace

Sequence generate(Family family, std::uint64_t seed, int count, bool i386) {
  Generator generator(family, seed, i386);
  const unsigned files = family == Family::limits ? 128 + static_cast<unsigned>(seed * 3 % 16) : 0;
  Sequence sequence{generator.arena(), files, {}};
  sequence.operations.reserve(static_cast<std::size_t>(count));
  std::generate_n(std::back_inserter(sequence.operations), count, [&] { return generator.next(); });
  return sequence;
}

}  // namespace libmseal::tests
