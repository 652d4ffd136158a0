// One of two twins: replays a sequence of operations on an arena at a fixed address and prints what came of
// each. Run under backend=kernel and under backend=supervised, the two must print the same.
//
//   twin_program FILE      the arena's address, then a line an operation, as operation.h writes them
//
// A line an operation comes back: the call, what it comes near to, its result, and the state of the arena:
// for each page its protection and its first byte. Whatever the other twin says, a line ends with
//   BROKEN ...    if a sealed page is not what it was: mapped, its protection, its file, its contents
//   CHANGED ...   if a call that our seals refused has changed a page all the same
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "policy/parsers/maps_line.h"
#include "policy/rules/mm_call.h"
#include "policy/rules/range.h"
#include "shim/common/no_copy.h"
#include "tests/differential/operation.h"

// In C, and shared with the programs that show a difference.
#include "tests/differential/actions.h"
#include "tests/differential/calls.h"
#include "tests/differential/set_up.h"
#include "tests/differential/twin_process.h"
#include "tests/differential/world.h"

namespace libmseal::tests {
namespace {

using policy::Range;

constexpr std::uint64_t kLargestHugePage = 1ULL << 30;

struct Page {
  char bits = '_';  // 1 read, 2 write, 4 execute, 8 shared; _ is not mapped
  char kind = ' ';  // Huge page, Ring, File, ' '
  std::uint64_t inode = 0;
  std::uint64_t content = 0;  // the first bytes, if they can be read
  bool lost = false;          // past the end of its file

  [[nodiscard]] int rights() const { return bits == '_' ? 0 : bits <= '9' ? bits - '0' : bits - 'a' + 10; }
  bool operator==(const Page&) const = default;
};

using Pages = std::array<Page, SLOTS>;

Range slot_range(std::uint64_t slot) {
  return {slot_start(slot), slot_start(slot) + slot_size(slot)};
}

// Reads /proc/PID/maps up to the end of the arena, with a file that stays open.
class Maps {
 public:
  // The process has another memory, or another first thread.
  void reopen() {
    if (file_ >= 0) ::close(file_);
    file_ = ::open("/proc/thread-self/maps", O_RDONLY | O_CLOEXEC);
    if (file_ < 0) std::abort();
  }

  template <class Visit>
  void read(std::uint64_t end, const Visit& visit) {
    if (::lseek(file_, 0, SEEK_SET) != 0) std::abort();
    std::size_t kept = 0;
    while (true) {
      const ssize_t got = ::read(file_, buffer_.data() + kept, buffer_.size() - kept);
      if (got <= 0) return;
      const std::string_view text(buffer_.data(), kept + static_cast<std::size_t>(got));
      std::size_t at = 0;
      for (std::size_t line = 0; (line = text.find('\n', at)) != std::string_view::npos; at = line + 1) {
        const auto vma = policy::parse_maps_line(text.substr(at, line - at));
        if (!vma) continue;
        if (vma->range.start >= end) return;
        visit(*vma);
      }
      kept = text.size() - at;
      std::memmove(buffer_.data(), buffer_.data() + at, kept);
    }
  }

 private:
  int file_ = -1;
  std::array<char, 8192> buffer_{};
};

class Twin : shim::NoCopy {
 public:
  explicit Twin(std::vector<operation> operations) : operations_(std::move(operations)) {
    const char* const options = std::getenv("MSEAL_OPTIONS");
    by_kernel_ = options != nullptr && std::strstr(options, "backend=kernel") != nullptr;
    text_sealed_ = options != nullptr && std::strstr(options, "auto=elf") != nullptr;
    watch_for_bad_pages();
    maps_.reopen();
    now_ = look();
    text_reference_ = text_;
  }

  static Twin* the_one;

  [[noreturn]] void go_on() {
    while (next_ < operations_.size()) {
      const std::size_t number = next_++;
      step(number, operations_[number]);
    }
    std::fflush(nullptr);
    ::_exit(0);
  }

 private:
  void step(std::size_t number, const operation& one) {
    touches_ = may_be_huge_ = near_ring_ = false;
    named_ = {};
    note_ranges(one);
    const bool any = std::ranges::find(sealed_, true) != sealed_.end();
    const Pages before = now_;
    const long result = perform_one(one);
    now_ = look();
    std::string trouble = broken_pages();
    if (!by_kernel_ && was_refused(one, result) && now_ != before)
      trouble += " CHANGED" + difference(before, now_);

    std::printf("%zu %s [%s%s%s%s] = %s", number, to_text(one).c_str(), touches_ ? "touches " : "",
                may_be_huge_ ? "huge " : "", near_ring_ ? "ring " : "", any ? "any" : "",
                text_of(result).c_str());
    if (touches_) std::printf(" sealed %s", state(true).c_str());
    if (needs_repair(one, any)) repair(one);
    keep_sealed_as_they_are();
    std::printf(" all %s%s\n", state(false).c_str(), trouble.c_str());
    if (one.kind == op_leader_exits) {
      leave_to_other_thread([](void*) -> void* {
        the_one->maps_.reopen();
        the_one->go_on();
      });
    }
  }

  long perform_one(const operation& one) {
    switch (one.kind) {
      case op_fresh:
        if (!sealed_[one.a[0]]) fresh(one.a[0]);
        return 0;
      case op_fork:
        go_on_in_child();
        maps_.reopen();
        return 0;
      case op_unshare: {
        const long result = perform(&one);
        if ((one.a[0] & CLONE_NEWPID) != 0) maps_.reopen();
        return result;
      }
      case op_leader_exits:
        return 0;
      case op_mseal: {
        const long result = perform(&one);
        if (result == 0) mark_sealed(one);
        return result;
      }
      case op_mseal_shared: {
        const long result = perform(&one);
        if (result == 0 || call_mseal(one.a[0], one.a[1]) == 0) mark_sealed(one);
        return result;
      }
      default:
        return perform(&one);
    }
  }

  void mark_sealed(const operation& one) {
    const Range range{one.a[0], one.a[0] + one.a[1]};
    const Pages pages = one.kind == op_mseal_shared ? now_ : look();
    for (std::size_t slot = 0; slot < SLOTS; ++slot) {
      if (!slot_range(slot).touches(range) || range.empty() || sealed_[slot]) continue;
      sealed_[slot] = true;
      reference_[slot] = pages[slot];
    }
  }

  // ---- what a call names ----

  bool note(std::uint64_t at, std::uint64_t size) {
    const std::uint64_t end = at + size < at ? ~0ULL : at + size;
    bool touches = false;
    for (std::size_t slot = 0; slot < SLOTS; ++slot) {
      const Range range = slot_range(slot);
      if (at >= range.end || range.start >= end) continue;
      named_[slot] = true;
      touches = touches || sealed_[slot];
    }
    return touches;
  }

  [[nodiscard]] bool is_huge(std::uint64_t at) const {
    for (std::size_t slot = 0; slot < SLOTS; ++slot) {
      const Range range = slot_range(slot);
      if (at >= range.start && at < range.end) return now_[slot].kind == 'H';
    }
    return false;
  }

  // A call that puts pages at `at`, of which nobody can tell by its arguments whether they are huge.
  void note_perhaps_huge(std::uint64_t at, std::uint64_t size) {
    if (at % HUGE_PAGE != 0 || size == 0) return;
    const std::uint64_t alignment = at == 0 ? kLargestHugePage : std::min(kLargestHugePage, at & -at);
    may_be_huge_ = note(at, policy::round_up(size, alignment)) || may_be_huge_;
  }

  void note_mremap(const std::uint64_t* a) {
    const bool huge = is_huge(a[0]);
    const auto rounded = [huge](std::uint64_t size) {
      return huge ? policy::round_up(size, HUGE_PAGE) : size;
    };
    touches_ = note(a[0], rounded(a[1] == 0 ? 1 : a[1])) || touches_;
    if ((a[3] & MREMAP_FIXED) == 0) {
      (void)note(a[0], rounded(a[2]));  // it may grow in its place
      return;
    }
    touches_ = note(a[4], rounded(a[2])) || touches_;
    note_perhaps_huge(a[4], a[2]);
  }

  void note_ranges(const operation& one) {
    std::array<std::uint64_t, 6> a{};
    std::copy_n(one.a, a.size(), a.begin());
    if (one.garbage != 0) {
      for (std::uint64_t& argument : a) argument &= 0xFFFFFFFF;
    }
    const auto touch = [this](std::uint64_t at, std::uint64_t size) {
      touches_ = note(at, size) || touches_;
    };
    switch (one.kind) {
      case op_mremap:
        return note_mremap(a.data());
      case op_mmap:
      case op_old_mmap: {
        const bool huge = one.kind == op_mmap && (a[4] == huge_file || (a[3] & MAP_HUGETLB) != 0);
        touch(a[0], huge ? policy::round_up(a[1], HUGE_PAGE) : a[1]);
        if (huge && (a[3] & MAP_FIXED) != 0) note_perhaps_huge(a[0], a[1]);
        return;
      }
      case op_shmat:
        return touch(a[1], world.segment_sizes[a[0]]);
      case op_shmdt:
        return touch(a[0], LARGEST_SEGMENT);
      case op_brk: {
        const auto now = static_cast<std::uint64_t>(native_call(SYS_brk, 0, 0, 0, 0, 0, 0));
        const std::uint64_t end = policy::round_up(a[0], PAGE);
        if (a[0] >= slot_start(HEAP_PAGE) && end < now) touch(end, now - end);
        return;
      }
      case op_mprotect:
        touch(a[0], a[1]);
        // These may reach to either end of the mapping.
        if ((a[2] & (policy::kProtGrowsDown | 0x02000000U)) != 0) touch(world.arena, PAGES * PAGE);
        return;
      case op_move_ring: {
        const ring& moved = world.rings[a[0]];
        if (moved.address == 0) return;
        const std::uint64_t size = std::min(moved.size, a[1] * PAGE);
        touch(moved.address, size);
        touch(a[2], size);
        note_perhaps_huge(a[2], size);
        return;
      }
      case op_io_destroy: {
        const ring& gone = world.rings[a[0]];
        if (gone.address == 0) return;
        touch(gone.address, gone.size);
        near_ring_ = note(gone.address, world.largest_ring);
        return;
      }
      case op_race_stack:
        return touch(a[0] - PAGE, PAGE);
      case op_protect_text:
        touches_ = text_sealed_;
        return;
      case op_munmap:
      case op_pkey_mprotect:
      case op_madvise:
      case op_remap_file_pages:
      case op_mseal:
      case op_mseal_shared:
      case op_exec_child:
        return touch(a[0], a[1]);
      default:
        return;
    }
  }

  // ---- the twins are made equal again ----

  // Kernels since 6.12 apply a refused mprotect or madvise to what comes before the page that refuses it, and
  // those since 6.17 look at the parts of an mremap one by one; an shmdt leaves the sealed pages of a segment
  // and takes the others. We never do. And where ours may refuse more than the kernel, that has gone on.
  [[nodiscard]] bool needs_repair(const operation& one, bool any) const {
    if (one.garbage > 1) return true;
    switch (one.kind) {
      case op_mprotect:
        return touches_ || (any && (one.a[2] & (policy::kProtGrowsDown | 0x02000000U)) != 0);
      case op_pkey_mprotect:
      case op_madvise:
      case op_shmdt:
        return touches_;
      case op_mremap:
        return touches_ || may_be_huge_ ||
               (any && policy::round_up(one.a[1], PAGE) == policy::round_up(one.a[2], PAGE));
      case op_move_ring:
        return touches_ || may_be_huge_ || any;
      case op_mmap:
        return may_be_huge_;
      case op_shmat:
        return (one.a[2] & SHM_REMAP) != 0;
      case op_io_destroy:
      case op_old_mmap:  // from the first mseal on, whatever comes of that
        return true;
      default:
        return false;
    }
  }

  static void write_byte(std::uint64_t at) {
    if (sigsetjmp(bad_page, 1) == 0) *reinterpret_cast<volatile char*>(at) = 'W';
  }

  // Unsealed pages, and the contents of writable sealed ones.
  void repair(const operation& one) {
    for (std::size_t slot = 0; slot < SLOTS; ++slot) {
      if (!named_[slot]) continue;
      native_call(SYS_madvise, slot_start(slot), slot_size(slot), MADV_KEEPONFORK, 0, 0,
                  0);  // shows at the next fork
      if (!sealed_[slot]) {
        fresh(slot);
      } else if ((now_[slot].rights() & 3) == 3 && !now_[slot].lost && now_[slot].kind != 'H') {
        write_byte(slot_start(slot));
      }
    }
    // A mapping may have grown over the end of the arena.
    const std::uint64_t end = slot_start(PAGES - 1) + PAGE;
    native_call(SYS_munmap, end, slot_start(PAGES) - end, 0, 0, 0, 0);
    if (one.kind == op_move_ring && may_be_huge_) world.rings[one.a[0]].address = 0;
    constexpr std::uint64_t kImage = 0x40'0000;  // by i386, an address above 4 GiB is one below the image
    if (one.garbage != 0) native_call(SYS_munmap, 0, kImage, 0, 0, 0, 0);
    now_ = look();
  }

  // ---- what must hold, whatever the other twin does ----

  static bool was_refused(const operation& one, long result) {
    switch (one.kind) {
      case op_exec_child:  // these change pages themselves
      case op_mseal_shared:
      case op_race_stack:
      case op_children:
        return false;
      case op_brk:
        return result == 0;
      default:
        return result == -EPERM;
    }
  }

  // Contents are kept where they can't be written; mseal(2) lets those of private files be discarded.
  [[nodiscard]] bool discard_protected(const Page& page) const {
    return (page.rights() & (2 | 8)) == 0 && !(by_kernel_ && page.kind == 'F');
  }

  [[nodiscard]] std::string broken_pages() const {
    std::string text;
    if (text_sealed_ && text_ != text_reference_)
      text += " BROKEN text " + std::string{text_reference_, text_};
    for (std::size_t slot = 0; slot < SLOTS; ++slot) {
      if (!sealed_[slot]) continue;
      const Page& was = reference_[slot];
      Page is = now_[slot];
      if (!discard_protected(was)) is.content = was.content, is.lost = was.lost;
      if (is != was) text += " BROKEN" + text_of(slot, was, now_[slot]);
    }
    return text;
  }

  static std::string difference(const Pages& before, const Pages& after) {
    std::string text;
    for (std::size_t slot = 0; slot < SLOTS; ++slot) {
      if (before[slot] != after[slot]) text += text_of(slot, before[slot], after[slot]);
    }
    return text;
  }

  static std::string text_of(std::size_t slot, const Page& was, const Page& is) {
    const auto text = [](const Page& page) { return std::string{page.bits, page.kind, byte_of(page)}; };
    return " page " + std::to_string(slot) + " was '" + text(was) + "' is '" + text(is) + "'";
  }

  void keep_sealed_as_they_are() {
    for (std::size_t slot = 0; slot < SLOTS; ++slot) {
      if (sealed_[slot]) reference_[slot] = now_[slot];
    }
  }

  // ---- what is there ----

  static char kind_of(const policy::Vma& vma) {
    if (vma.name.starts_with("/anon_hugepage") || vma.name.starts_with("/memfd:huge") ||
        vma.name.starts_with("/SYSV48554745")) {
      return 'H';
    }
    if (vma.name.starts_with("/[aio]")) return 'R';
    return vma.anonymous() ? ' ' : 'F';
  }

  Pages look() {
    Pages pages;
    const std::uint64_t end = slot_range(SLOTS - 1).end;
    maps_.read(end, [&](const policy::Vma& vma) {
      const int bits =
          (vma.readable ? 1 : 0) + (vma.writable ? 2 : 0) + (vma.executable ? 4 : 0) + (vma.shared ? 8 : 0);
      if (vma.range.start <= text_page() && vma.range.end > text_page()) text_ = "0123456789abcdef"[bits];
      if (vma.range.end <= world.arena) return;
      const char kind = kind_of(vma);
      for (std::size_t slot = vma.range.start <= world.arena ? 0 : first_slot(vma.range.start); slot < SLOTS;
           ++slot) {
        if (slot_start(slot) >= vma.range.end) break;
        pages[slot].bits = "0123456789abcdef"[bits];
        pages[slot].kind = kind;
        pages[slot].inode = vma.inode;
      }
    });
    read_contents(pages);
    return pages;
  }

  static void read_contents(Pages& pages) {
    static std::size_t slot;  // outlives the jump
    slot = 0;
    while (slot < PAGES) {
      if (sigsetjmp(bad_page, 1) != 0) {
        pages[slot++].lost = true;
        continue;
      }
      for (; slot < PAGES; ++slot) {
        Page& page = pages[slot];
        if ((page.rights() & 1) == 0 || page.kind == 'H' || page.kind == 'R') continue;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        page.content = *reinterpret_cast<volatile std::uint64_t*>(slot_start(slot));
      }
    }
  }

  // The first slot that ends after `at`.
  static std::size_t first_slot(std::uint64_t at) {
    if (at < slot_start(PAGES - 1) + PAGE) return (at - world.arena) / PAGE;
    std::size_t slot = PAGES;
    while (slot < SLOTS && slot_range(slot).end <= at) ++slot;
    return slot;
  }

  static char byte_of(const Page& page) {
    if (page.kind == 'H' || page.kind == 'R') return page.kind;
    if (page.lost) return '!';
    if ((page.rights() & 1) == 0) return '?';
    if (page.content >> 32 == 0x47524f46) return 'r';  // forge_ring; the ring's number may differ
    const char byte = static_cast<char>(page.content);
    return byte > ' ' && byte < 127 ? byte : '.';
  }

  // Two characters a page.
  [[nodiscard]] std::string state(bool only_sealed) const {
    std::string text;
    for (std::size_t slot = 0; slot < SLOTS; ++slot) {
      if (only_sealed && !sealed_[slot]) continue;
      text += now_[slot].bits;
      text += byte_of(now_[slot]);
    }
    return text;
  }

  static std::string text_of(long result) {
    const std::uint64_t offset = static_cast<std::uint64_t>(result) - world.arena;
    return offset <= PAGES * PAGE ? "page " + std::to_string(offset / PAGE) : std::to_string(result);
  }

  std::vector<operation> operations_;
  std::size_t next_ = 0;
  Maps maps_;
  bool by_kernel_ = false;
  bool text_sealed_ = false;
  char text_ = '_';  // the protection of a page of the program's text
  char text_reference_ = '_';
  Pages now_{};
  Pages reference_{};  // what sealed pages were
  std::array<bool, SLOTS> sealed_{};
  std::array<bool, SLOTS> named_{};  // that the present call names, or may name
  bool touches_ = false;             // it names a sealed page
  bool may_be_huge_ = false;         // it names one if it is about huge pages
  bool near_ring_ = false;           // a seal is above the ring, as far as a ring may reach
};

Twin* Twin::the_one = nullptr;

int replay(int count, char** arguments) {
  if (const int ended = keep(count, arguments); ended >= 0) return ended;
  std::ifstream file(arguments[1]);
  std::string line;
  std::getline(file, line);
  const std::uint64_t arena = std::strtoull(line.c_str(), nullptr, 16);
  start_elsewhere(arena, arguments);
  std::vector<operation> operations;
  while (std::getline(file, line)) {
    const auto one = parse_line(line);
    if (!one) return 2;
    operations.push_back(*one);
  }
  if (const int failed = set_up(arena); failed != 0) return failed;
  Twin::the_one = new Twin(std::move(operations));
  Twin::the_one->go_on();
}

}  // namespace
}  // namespace libmseal::tests

int main(int count, char** arguments) {
  if (count == 4) return map_in_other_image(arguments);
  return count == 2 ? libmseal::tests::replay(count, arguments) : 2;
}
