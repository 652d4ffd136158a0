#include "tests/differential/operation.h"

#include <sys/mman.h>
#include <sys/shm.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <iterator>
#include <random>
#include <sstream>

namespace libmseal::tests {
namespace {

using Kind = Operation::Kind;

struct Shape {
  Kind kind;
  std::string_view name;
  std::size_t arguments;
};

constexpr Shape kShapes[] = {
    {Kind::mmap, "mmap", 4},
    {Kind::munmap, "munmap", 2},
    {Kind::mprotect, "mprotect", 3},
    {Kind::pkey_mprotect, "pkey_mprotect", 4},
    {Kind::madvise, "madvise", 3},
    {Kind::mremap, "mremap", 5},
    {Kind::remap_file_pages, "remap_file_pages", 5},
    {Kind::shmat, "shmat", 3},
    {Kind::shmdt, "shmdt", 1},
    {Kind::mseal, "mseal", 3},
    {Kind::fresh, "fresh", 1},
    {Kind::fork, "fork", 0},
};

const Shape& shape_of(Kind kind) {
  return *std::ranges::find(kShapes, kind, &Shape::kind);
}

std::string hex(std::uint64_t number) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, 16).ptr;
  return "0x" + std::string(digits, end);
}

// Chooses operations by what the sequence will have sealed by then, at least.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  Operation next() {
    if (pending_.empty()) pending_.push_back(choose());
    Operation operation = pending_.front();
    pending_.pop_front();
    operation.other_thread = operation.kind != Kind::fork && below(4) == 0;
    return operation;
  }

 private:
  static constexpr int kMostSeals = 24;  // each costs a filter, and the kernel takes so many
  static constexpr int kMostForks = 4;

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  template <class T, std::size_t Size>
  T one_of(const T (&values)[Size]) {
    return values[below(Size)];
  }
  static std::uint64_t address(std::uint64_t page) { return kArena + page * kPage; }

  [[nodiscard]] bool surely_sealed(std::uint64_t at, std::uint64_t size) const {
    for (std::uint64_t page = (at - kArena) / kPage; page < kPages && address(page) < at + size; ++page) {
      if (sealed_[page]) return true;
    }
    return false;
  }

  Operation choose() {
    const std::uint64_t first = below(kPages);
    const std::uint64_t count = 1 + below(below(4) == 0 ? 12 : 3);
    std::uint64_t at = address(first);
    std::uint64_t size = count * kPage - below(2) * below(kPage);
    size = std::min(size, (kPages - first) * kPage);
    const bool touches = surely_sealed(at, size);
    const bool odd = below(13) == 0;
    if (odd) {
      switch (below(3)) {
        case 0:
          at += 1 + below(kPage - 1);
          break;
        case 1:
          size = 0;
          break;
        default:
          size = -kPage * below(3) - 1;
          break;
      }
    }
    const auto prot = static_cast<std::uint64_t>(
        one_of({PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC}));
    switch (below(60)) {
      case 0:
        return forks_++ < kMostForks ? Operation{Kind::fork} : Operation{Kind::munmap, false, {at, size}};
      case 1:
        // Unaligned ones have attacks of their own: what the kernel rounds down, ours refuses.
        return {Kind::remap_file_pages, false, {address(first), count * kPage, 0, below(3), 0}};
      case 2:
      case 3:
        return {Kind::shmat, false, {0, at, SHM_REMAP}};
      case 4:
        return {Kind::shmdt, false, {at}};
      case 5:
      case 6:
        if (seals_ < kMostSeals) {
          ++seals_;
          const Operation seal{Kind::mseal, false, {at, size, 0}};
          // On whatever is there, which may be a hole; or on memory, so that it is sealed for sure.
          if (odd || below(4) == 0) return seal;
          for (std::uint64_t page = first; page < kPages && address(page) < at + size; ++page) {
            pending_.push_back({Kind::fresh, false, {page}});
            sealed_[page] = true;
          }
          pending_.push_back(seal);
          return {Kind::fresh, false, {first}};
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
        return {Kind::fresh, false, {first}};
      case 17:
      case 18:
        return {
            Kind::pkey_mprotect, false, {at, size, prot, static_cast<std::uint64_t>(one_of({-1, 0, 99}))}};
      default:
        break;
    }
    switch (below(5)) {
      case 0:
        return {
            Kind::mmap,
            false,
            {at, size, prot,
             static_cast<std::uint64_t>(MAP_ANONYMOUS | one_of({MAP_FIXED, MAP_FIXED, MAP_FIXED_NOREPLACE}) |
                                        (below(4) == 0 ? MAP_SHARED : MAP_PRIVATE))}};
      case 1:
        return {Kind::munmap, false, {at, size}};
      case 2:
        return {Kind::mprotect,
                false,
                {at, size, prot | one_of({0UL, 0UL, 0UL, 0UL, 0UL, 0x01000000UL, 0x02000000UL})}};
      case 3:
        return {Kind::madvise,
                false,
                {at, size,
                 static_cast<std::uint64_t>(
                     one_of({MADV_NORMAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_DONTFORK, MADV_DOFORK,
                             MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTNEED_LOCKED, 77}))}};
      default: {
        // The kernel's seals split mappings and ours do not, and an mremap across a split fails.
        if (!touches) size = std::min(size, kPage);
        const std::uint64_t flags = below(3) == 0 ? MREMAP_MAYMOVE | MREMAP_FIXED : 0;
        return {Kind::mremap, false, {at, size, (1 + below(6)) * kPage, flags, address(below(kPages - 6))}};
      }
    }
  }

  std::mt19937_64 random_;
  std::deque<Operation> pending_;
  std::array<bool, kPages> sealed_{};
  int seals_ = 0;
  int forks_ = 0;
};

std::string joined(const Operation& operation, std::string_view separator) {
  std::string text;
  for (std::size_t index = 0; index < shape_of(operation.kind).arguments; ++index) {
    if (index != 0) text += separator;
    text += hex(operation.arguments[index]);
  }
  return text;
}

constexpr std::string_view kProgramHead = R"(#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define ARENA 0x1000000000UL
#define PAGES 48
#undef SYS_mseal
#define SYS_mseal 462UL
static long segment;

static void fresh(unsigned long page) {
  char *at = mmap((void *)(ARENA + page * PAGE), PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (at != MAP_FAILED) *at = 'a' + page % 26;
}
/* Past libc, and past whatever stands in front of it. */
static long raw(const unsigned long *a) {
  register unsigned long r10 __asm__("r10") = a[4];
  register unsigned long r8 __asm__("r8") = a[5];
  register unsigned long r9 __asm__("r9") = a[6];
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(a[0]), "D"(a[1]), "S"(a[2]), "d"(a[3]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
static void *in_thread(void *call) {
  unsigned long *a = call;
  a[7] = (unsigned long)(a[0] == SYS_mseal ? syscall(SYS_mseal, a[1], a[2], a[3]) : raw(a));
  return NULL;
}
static void call(const char *text, int other_thread, long number, unsigned long a, unsigned long b,
                 unsigned long c, unsigned long d, unsigned long e, unsigned long f) {
  unsigned long all[8] = {(unsigned long)number, a, b, c, d, e, f, 0};
  pthread_t thread;
  if (other_thread && pthread_create(&thread, NULL, in_thread, all) == 0)
    pthread_join(thread, NULL);
  else
    in_thread(all);
  printf("%s = %ld\n", text, (long)all[7]);
  fflush(stdout);
}

static inline int go_on_in_child(void) {
  for (unsigned long page = 0; page < PAGES; ++page) madvise((void *)(ARENA + page * PAGE), PAGE, MADV_DOFORK);
  return fork() != 0 && wait(NULL) > 0;
}

int main(void) {
  segment = shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0600);
  for (unsigned long page = 0; page < PAGES; ++page) fresh(page);
)";

constexpr std::string_view kProgramTail = R"(  shmctl((int)segment, IPC_RMID, NULL);
  return 0;
}
)";

std::string to_statement(const Operation& operation) {
  if (operation.kind == Kind::fresh) return "fresh(" + joined(operation, ", ") + ");";
  if (operation.kind == Kind::fork) return "if (go_on_in_child()) return 0;";
  std::string statement =
      "call(\"" + to_text(operation) + "\", " + (operation.other_thread ? "1" : "0") + ", ";
  statement += "SYS_" + std::string(shape_of(operation.kind).name);
  std::array<std::uint64_t, 6> all{};
  std::copy_n(operation.arguments.begin(), shape_of(operation.kind).arguments, all.begin());
  if (operation.kind == Kind::mmap) all[4] = ~0ULL;  // no file
  for (std::size_t index = 0; index < all.size(); ++index) {
    statement += operation.kind == Kind::shmat && index == 0 ? ", (unsigned long)segment"
                                                             : ", " + hex(all[index]) + "UL";
  }
  return statement + ");";
}

}  // namespace

std::vector<Operation> generate(std::uint64_t seed, int count) {
  Generator generator(seed);
  std::vector<Operation> operations;
  operations.reserve(static_cast<std::size_t>(count));
  std::generate_n(std::back_inserter(operations), count, [&] { return generator.next(); });
  return operations;
}

std::string to_line(const Operation& operation) {
  std::string line = operation.other_thread ? "~" : "";
  line += shape_of(operation.kind).name;
  if (shape_of(operation.kind).arguments != 0) line += " " + joined(operation, " ");
  return line;
}

std::optional<Operation> parse_line(std::string_view line) {
  Operation operation;
  operation.other_thread = line.starts_with('~');
  std::istringstream words{std::string(line.substr(operation.other_thread ? 1 : 0))};
  std::string name;
  words >> name;
  const auto* const shape = std::ranges::find(kShapes, name, &Shape::name);
  if (shape == std::end(kShapes)) return std::nullopt;
  operation.kind = shape->kind;
  for (std::size_t index = 0; index < shape->arguments; ++index) {
    words >> std::hex >> operation.arguments[index];
  }
  return words.fail() ? std::nullopt : std::optional(operation);
}

std::string to_text(const Operation& operation) {
  return std::string(shape_of(operation.kind).name) + "(" + joined(operation, ", ") + ")";
}

std::string to_program(std::span<const Operation> operations) {
  std::string program(kProgramHead);
  for (const Operation& operation : operations) program += "  " + to_statement(operation) + "\n";
  return program + std::string(kProgramTail);
}

}  // namespace libmseal::tests
