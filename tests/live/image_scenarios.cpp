// Images that follow each other, by exec and in children, and what ancestors have sealed.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"

namespace libmseal::tests {
namespace {

// Started as: exec_target by exec_drops, under the same addresses, without the preload.
void exec_target(std::span<char*>) {
  EXPECT(Calls{Via::raw}.protect(own_text(), page_size(), PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
  EXPECT(Calls{Via::libc}.advise(own_text(), page_size(), MADV_DONTNEED) == 0);
}

[[noreturn]] void become(const char* scenario, bool preloaded) {
  if (!preloaded) ::unsetenv("LD_PRELOAD");
  ::execl("/proc/self/exe", "live_program", scenario, nullptr);
  ::_exit(99);
}

void exec_drops(std::span<char*> arguments) {
  if (arguments.empty()) {  // once more, without randomised addresses, so that the images fall on each other
    ::personality(ADDR_NO_RANDOMIZE);
    ::execl("/proc/self/exe", "live_program", "exec_drops", "again", nullptr);
    ::_exit(99);
  }
  expect_sealed(own_text());
  in_child([] { become("exec_target", false); });
  // With the preload the new image has seals of its own, at the very same place.
  in_child([] { become("own_text_is_sealed", true); });
  in_child([] { become("refuses_changes", true); });
}

// So many seals that images are started with another layout; a program that is not started changes nothing.
void failed_start_keeps_the_layout(std::span<char*>) {
  constexpr unsigned long kAsk = 0xFFFFFFFF;
  const int before = ::personality(kAsk);
  char* const pages = map_far_away(140 * page_size(), PROT_READ);
  for (std::size_t index = 0; index < 140; index += 2)
    REQUIRE_OR_STOP(::mseal(pages + index * page_size(), page_size(), 0) == 0);
  char name[] = "/nonexistent";
  char* const command[] = {name, nullptr};
  EXPECT(::execv(name, command) == -1 && errno == ENOENT && ::personality(kAsk) == before);
  EXPECT(::execvp(name, command) == -1 && errno == ENOENT && ::personality(kAsk) == before);
}

// A sealed page that the program asked for is refused by a filter, which outlives exec: the new image must
// never get memory there.
void exec_fences(std::span<char*> arguments) {
  if (arguments.empty()) {
    constexpr std::size_t kAcrossWords = 5ULL << 30;  // it crosses a multiple of 4 GiB
    for (const std::size_t size : {page_size(), kAcrossWords}) {
      char* const sealed = map_far_away(size, PROT_READ);
      REQUIRE_OR_STOP(::mseal(sealed, size, 0) == 0);
      const std::string where = std::to_string(reinterpret_cast<std::uintptr_t>(sealed + size - page_size()));
      in_child([&] {
        ::execl("/proc/self/exe", "live_program", "exec_fences", where.c_str(), nullptr);
        ::_exit(99);
      });
    }
    return;
  }
  auto* const where = reinterpret_cast<char*>(std::stoull(arguments[0]));
  EXPECT(Calls{Via::raw}.map(where, page_size(), PROT_READ,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE) == -EEXIST);
  for (int round = 0; round < 100; ++round) {
    const long placed = Calls{Via::raw}.map(where, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
    EXPECT(placed > 0 && Calls{Via::raw}.unmap(reinterpret_cast<void*>(placed), page_size()) == 0);
  }
}

// A chain of images, each of which seals a page, checks it and its own code, and starts the next. Filters
// pile up; no image is hurt by those of its ancestors.
void exec_chain(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const int left = std::stoi(arguments[0]);
  expect_sealed(sealed_page());
  expect_sealed(own_text());
  for (int round = 0; round < 20; ++round) {
    const long placed =
        Calls{Via::raw}.map(nullptr, 64 * page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
    EXPECT(placed > 0);
    EXPECT(Calls{Via::raw}.protect(reinterpret_cast<void*>(placed), 64 * page_size(), PROT_NONE) == 0);
    EXPECT(Calls{Via::raw}.unmap(reinterpret_cast<void*>(placed), 64 * page_size()) == 0);
  }
  if (left == 0 || g_failures != 0) return;
  ::execl("/proc/self/exe", "live_program", "exec_chain", std::to_string(left - 1).c_str(), nullptr);
  ::_exit(99);
}

// Seals by every way, hides itself, and becomes the program of the arguments.
void becomes(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  expect_sealed(sealed_page());
  char* const near =
      static_cast<char*>(::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  EXPECT(::mseal(near, page_size(), 0) == 0);
  EXPECT(::prctl(PR_SET_DUMPABLE, 0) == 0);
  std::vector<char*> command(arguments.begin(), arguments.end());
  command.push_back(nullptr);
  ::execv(command[0], command.data());
  ::_exit(99);
}

// Many scattered ranges are sealed, and as many are kept free in the programs that are started from here.
void starts_behind_many_fences(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  const auto count = static_cast<std::size_t>(std::stoul(arguments[0]));
  const std::size_t page = page_size();
  char* const base = static_cast<char*>(
      ::mmap(nullptr, 2 * count * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  REQUIRE_OR_STOP(base != MAP_FAILED);
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < count; ++index) ranges.push_back({base + 2 * index * page, page});
  constexpr std::size_t kAtOnce = 1000;
  for (std::size_t first = 0; first < count; first += kAtOnce) {
    REQUIRE_OR_STOP(::mseal_ranges(ranges.data() + first, std::min(kAtOnce, count - first), 0) == 0);
  }
  for (int round = 0; round < 3; ++round) {
    in_child([&] {
      ::execl("/proc/self/exe", "live_program", "own_text_is_sealed", nullptr);
      ::_exit(99);
    });
  }
}

// What a child that becomes /bin/true prints, and how it ends.
struct Start {
  std::string said;
  int status = 0;
};
Start start_true(bool past_libc) {
  std::array<int, 2> ends{};
  REQUIRE_OR_STOP(::pipe2(ends.data(), O_CLOEXEC) == 0);
  std::array<char, 10> program{"/bin/true"};
  std::array<char*, 2> arguments{program.data(), nullptr};
  pid_t child = -1;
  if (past_libc) {
    child = ::fork();
    if (child == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::dup2(ends[1], STDERR_FILENO);
      ::syscall(SYS_execve, arguments[0], arguments.data(), environ);
      ::_exit(99);
    }
  } else {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    (void)::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  REQUIRE_OR_STOP(child > 0);
  ::close(ends[1]);
  Start start;
  std::array<char, 512> text{};
  for (ssize_t got = 0; (got = ::read(ends[0], text.data(), text.size())) > 0;)
    start.said.append(text.data(), static_cast<std::size_t>(got));
  ::close(ends[0]);
  REQUIRE_OR_STOP(::waitpid(child, &start.status, 0) == child);
  return start;
}

// Where the dynamic linker puts the library in a program that this one starts past libc: it says so itself.
char* place_of_the_library() {
  REQUIRE_OR_STOP(::setenv("LD_TRACE_LOADED_OBJECTS", "1", 1) == 0);
  const std::string objects = start_true(true).said;
  ::unsetenv("LD_TRACE_LOADED_OBJECTS");
  const std::size_t library = objects.find("libmseal.so");
  REQUIRE_OR_STOP(library != std::string::npos);
  const std::size_t address = objects.find("(0x", library);
  REQUIRE_OR_STOP(address != std::string::npos);
  return reinterpret_cast<char*>(std::stoull(objects.substr(address + 1), nullptr, 16));
}

// Starts programs at addresses that are known beforehand: they are not randomised, and room for the stack
// keeps them out of the places that are watched. Seals a page where they would map the library, and counts
// what becomes of the starts, by posix_spawn or past libc. There are so many seals that libc's starts get
// another layout.
void starts_amid_seals(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  const bool past_libc = std::string_view(arguments[0]) == "past_libc";
  rlimit stack{};
  REQUIRE_OR_STOP(::getrlimit(RLIMIT_STACK, &stack) == 0);
  stack.rlim_cur = rlim_t{1} << 44;
  REQUIRE_OR_STOP(::setrlimit(RLIMIT_STACK, &stack) == 0 && ::personality(ADDR_NO_RANDOMIZE) != -1);
  constexpr std::size_t kIntoItsCode = 0x10000;
  void* const met = ::mmap(place_of_the_library() + kIntoItsCode, page_size(), PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  REQUIRE_OR_STOP(met != MAP_FAILED && ::mseal(met, page_size(), 0) == 0);
  char* const pages = map_far_away(140 * page_size(), PROT_READ);
  for (std::size_t index = 0; index < 140; index += 2)
    REQUIRE_OR_STOP(::mseal(pages + index * page_size(), page_size(), 0) == 0);
  int with = 0;
  int without = 0;
  int failed = 0;
  for (int round = 0; round < 5; ++round) {
    const Start start = start_true(past_libc);
    const bool left_out = start.said.find("cannot be preloaded") != std::string::npos;
    ++(start.status != 0 ? failed : left_out ? without : with);
  }
  std::printf("with the library %d, without it %d, failed %d\n", with, without, failed);
}

// As V8 does, which chooses among the first 64 TiB.
void hints_stay_out_of_watched_ranges(std::span<char*>) {
#ifdef __x86_64__
  constexpr std::uintptr_t kWatched = 0x2AAA'AAAA'B000;
  constexpr std::uintptr_t kHint = 0x3000'0000'0000;
  for (const Via via : kBothWays) {
    const long placed =
        Calls{via}.map(reinterpret_cast<void*>(kHint), page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
    const auto at = static_cast<std::uintptr_t>(placed);
    EXPECT(placed > 0 && (via == Via::raw ? at == kHint : at < kWatched));
    EXPECT(Calls{via}.unmap(reinterpret_cast<void*>(placed), page_size()) == 0);
  }
#endif
}

// Starts the next image in a child, each time.
void fork_chain(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const int left = std::stoi(arguments[0]);
  expect_sealed(own_text());
  if (left == 0 || g_failures != 0) return;
  in_child([&] {
    ::execl("/proc/self/exe", "live_program", "fork_chain", std::to_string(left - 1).c_str(), nullptr);
    ::_exit(99);
  });
}

constexpr Scenario kScenarios[] = {
    {"exec_target", exec_target},
    {"exec_drops", exec_drops},
    {"exec_fences", exec_fences},
    {"exec_chain", exec_chain},
    {"becomes", becomes},
    {"starts_behind_many_fences", starts_behind_many_fences},
    {"starts_amid_seals", starts_amid_seals},
    {"hints_stay_out_of_watched_ranges", hints_stay_out_of_watched_ranges},
    {"fork_chain", fork_chain},
    {"failed_start_keeps_the_layout", failed_start_keeps_the_layout},
};

}  // namespace

std::span<const Scenario> image_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
