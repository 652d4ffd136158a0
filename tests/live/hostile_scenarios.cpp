// What hostile programs do to the supervisor and to whoever looks at them.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/table_size.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"
#include "tests/support/message.h"

namespace libmseal::tests {
namespace {

using Clock = std::chrono::steady_clock;

// Mappings that do not merge. As many as the kernel gives of those wanted.
void map_many(long count) {
  char* const base = static_cast<char*>(::mmap(nullptr, static_cast<std::size_t>(count) * page_size(),
                                               PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE_OR_STOP(base != MAP_FAILED);
  for (long index = 1; index < count; index += 2) {
    if (::mprotect(base + static_cast<std::size_t>(index) * page_size(), page_size(), PROT_NONE) != 0) break;
  }
}

// A raw mseal has the supervisor read all mappings, and costs the program next to nothing.
void keeps_supervisor_busy(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  char* const page = map_far_away(page_size(), PROT_READ);
  map_many(1500);
  const auto end = Clock::now() + std::chrono::seconds(std::stoi(arguments[0]));
  while (Clock::now() < end) {
    const long sealed = shim::raw_syscall(462, page, page_size(), 0);
    REQUIRE_OR_STOP(sealed == 0 || sealed == -EAGAIN);  // EAGAIN: on an overloaded machine
  }
  EXPECT(Calls{Via::raw}.unmap(page, page_size()) == -EPERM);
}

// What is sealed already takes no more room, however often it is sealed.
void seals_again(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  char* const pages = map_far_away(2 * page_size(), PROT_READ);
  for (long index = 0; index < std::stol(arguments[0]); ++index) {
    REQUIRE_OR_STOP(shim::raw_syscall(462, pages, page_size(), 0) == 0);
    if (index % 8 == 0) REQUIRE_OR_STOP(shim::raw_syscall(462, pages, 2 * page_size(), 0) == 0);
  }
  expect_sealed(pages + page_size());
}

// Refusals in a process with so many mappings: of the kind that a filter refuses, and of the kind that the
// supervisor does. How long each took, in us.
void refusals_among_mappings(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 2);
  const long mappings = std::stol(arguments[0]);
  const int calls = std::stoi(arguments[1]);
  map_many(mappings);
  const auto time = [&](auto call) {
    const auto start = Clock::now();
    for (int index = 0; index < calls; ++index) EXPECT(call() < 0);
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count() / calls;
  };
  const double refused = time([&] { return Calls{Via::libc}.unmap(own_text(), page_size()); });
  const double delegated_and_refused = time(
      [&] { return shim::raw_syscall(__NR_mprotect, own_text(), page_size(), PROT_READ | PROT_GROWSDOWN); });
  std::printf("%f %f\n", refused, delegated_and_refused);
}

// Refused without a pause, by a process and by the children that it forks meanwhile.
void forks_among_refusals(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 2);
  const int children = std::stoi(arguments[0]);
  const int calls = std::stoi(arguments[1]);
  const auto refuse = [&] {
    for (int index = 0; index < calls; ++index)
      EXPECT((Calls{Via::libc}.unmap(own_text(), page_size())) == -EPERM);
  };
  refuse();
  for (int child = 0; child < children; ++child) {
    in_child([&] {
      refuse();
      std::exit(g_failures);  // the library tells of the last ones there
    });
    refuse();
  }
}

// Children that stay alive. Each makes a call for which the supervisor has to identify its caller.
void many_live_children(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  int done[2];
  REQUIRE_OR_STOP(::pipe(done) == 0);
  for (int count = std::stoi(arguments[0]); count > 0; --count) {
    if (::fork() != 0) continue;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    char* const pages = map_pages(3);
    constexpr std::uintptr_t kHugePage = 2 << 20;  // an mremap to such a boundary is treated as larger
    char* const second = pages + page_size();
    char* const to =
        reinterpret_cast<std::uintptr_t>(second) % kHugePage == 0 ? second + page_size() : second;
    const Calls call{Via::raw};
    const bool moved = call.remap(pages, page_size(), page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
                       reinterpret_cast<long>(to);
    (void)!::write(done[1], moved ? "y" : "n", 1);
    ::pause();
  }
  for (int count = std::stoi(arguments[0]); count > 0; --count) {
    char moved = 0;
    EXPECT(::read(done[0], &moved, 1) == 1 && moved == 'y');
  }
}

// Programs that live, more than the supervisor may open files. What is sealed here stays so, and calls that
// touch nothing succeed.
void many_live_images(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  char* const sealed = readable_page();
  EXPECT(::mseal(sealed, page_size(), 0) == 0);
  int started[2];
  REQUIRE_OR_STOP(::pipe(started) == 0);
  for (int count = std::stoi(arguments[0]); count > 0; --count) {
    if (::fork() == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const std::string tell = std::to_string(started[1]);
      ::execl("/proc/self/exe", "live_program", "lives", tell.c_str(), nullptr);
      ::_exit(1);
    }
    char one = 0;
    EXPECT(::read(started[0], &one, 1) == 1 && one == 'y');
  }
  const Calls call{Via::raw};
  EXPECT(call.unmap(sealed, page_size()) == -EPERM);
  char* const free = map_pages(2);
  EXPECT(call.remap(free, page_size(), page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, free + page_size()) ==
         reinterpret_cast<long>(free + page_size()));
  char* const second = readable_page();
  EXPECT(::mseal(second, page_size(), 0) == 0);
  EXPECT(call.unmap(second, page_size()) == -EPERM);
}

void lives(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  char* const page = readable_page();
  const bool seals = ::mseal(page, page_size(), 0) == 0 && Calls{Via::raw}.unmap(page, page_size()) == -EPERM;
  (void)!::write(std::stoi(arguments[0]), seals ? "y" : "n", 1);
  ::pause();
}

// Processes that begin to seal at the same moment.
void seal_at_once(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  int gate[2];
  REQUIRE_OR_STOP(::pipe(gate) == 0);
  std::vector<pid_t> children;
  for (int count = std::stoi(arguments[0]); count > 0; --count) {
    char* const page = readable_page();
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(gate[1]);
      char byte = 0;
      EXPECT(::read(gate[0], &byte, 1) == 0);
      EXPECT(::mseal(page, page_size(), 0) == 0);
      EXPECT((Calls{Via::raw}.unmap(page, page_size())) == -EPERM);
      ::_exit(g_failures == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  ::close(gate[1]);
  for (const pid_t child : children) EXPECT(ends_with(child, 0));
}

// A mapped file with the name of the library's table, and nothing or something else in it.
void forges_a_table(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const std::string_view kind = arguments[0];
  const int file = ::memfd_create("libmseal-table", MFD_CLOEXEC);
  const auto size = static_cast<off_t>(shim::kTableBytes);
  REQUIRE_OR_STOP(::ftruncate(file, kind == "short" ? 4096 : size) == 0);
  auto* const before = reinterpret_cast<void*>(1ULL << 36);  // the genuine one
  auto* const words = static_cast<std::uint64_t*>(
      ::mmap(before, shim::kTableBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0));
  REQUIRE_OR_STOP(words != MAP_FAILED);
  if (kind == "garbage") {
    for (std::size_t index = 0; index < shim::kTableBytes / 8; ++index)
      words[index] = index * 0x9E37'79B9'7F4A'7C15ULL;
  } else if (kind != "short") {
    // the genuine one, and then changed
    FILE* const maps = std::fopen("/proc/self/maps", "r");
    char line[512];
    const std::uint64_t* table = nullptr;
    while (std::fgets(line, sizeof line, maps) != nullptr) {
      unsigned long start = 0;
      if (std::strstr(line, "memfd:libmseal-table") == nullptr || std::sscanf(line, "%lx", &start) != 1)
        continue;
      if (reinterpret_cast<std::uint64_t*>(start) != words) table = reinterpret_cast<std::uint64_t*>(start);
    }
    std::fclose(maps);
    REQUIRE_OR_STOP(table != nullptr);
    std::memcpy(words, table, shim::kTableBytes);
    // The header is magic, version and size, and where the table is: from there.
    std::uint64_t& offset = words[2];
    std::uint64_t* const copied = words + 2 + offset / 8;
    if (kind == "pointer") offset = 1ULL << 40;
    if (kind == "writing") reinterpret_cast<std::uint32_t*>(copied)[0] |= 1;
    if (kind == "counts") {
      for (int word = 1; word < 8; ++word) copied[word] = 1ULL << 50;
    }
  }
  std::printf("%d\n", ::getpid());
  std::fflush(stdout);
  ::close(1);
  // Until whoever started it has ended.
  char byte = 0;
  while (::read(0, &byte, 1) > 0) {
  }
}

void floods_the_log(std::span<char*>) {
  for (int index = 0; index < 20'000; ++index)
    EXPECT(tell_supervisor({0, page_size(), 77, policy::kControlMagic, 0, 0}) == -EINVAL);
}

// Where a message of this program says that a page shall be sealed with the next one.
char* map_announced() {
  char* const page = map_watched(page_size(), PROT_READ | PROT_WRITE);
  REQUIRE_OR_STOP(page != nullptr);
  return page;
}

long announce(const char* page) {
  policy::Control message;
  message.kind = policy::Control::Kind::range;
  message.seal.range = policy::Range::of(reinterpret_cast<std::uint64_t>(page), page_size());
  return policy::decode_answer(tell_supervisor(policy::encode(message)));
}

// What has failed, and what an earlier image wanted, is not sealed with what comes next.
void wants_too_much(std::span<char*>) {
  char* const page = map_announced();
  long answer = 0;
  while (answer == 0) answer = announce(page);
  EXPECT(answer == -E2BIG);
  (void)sealed_page();
  EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_READ) == 0);
  EXPECT(announce(page) == 0);
  ::execl("/proc/self/exe", "live_program", "wants_little", nullptr);
  EXPECT(!"execl");
}

void wants_little(std::span<char*>) {
  char* const page = map_announced();
  (void)sealed_page();
  EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_READ) == 0);
}

constexpr Scenario kScenarios[] = {
    {"floods_the_log", floods_the_log},
    {"keeps_supervisor_busy", keeps_supervisor_busy},
    {"refusals_among_mappings", refusals_among_mappings},
    {"forks_among_refusals", forks_among_refusals},
    {"many_live_children", many_live_children},
    {"many_live_images", many_live_images},
    {"lives", lives},
    {"seal_at_once", seal_at_once},
    {"seals_again", seals_again},
    {"forges_a_table", forges_a_table},
    {"wants_too_much", wants_too_much},
    {"wants_little", wants_little},
};

}  // namespace

std::span<const Scenario> hostile_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
