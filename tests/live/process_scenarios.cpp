// Forked children, and what the program must not notice of the library.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"
#include "tests/support/patience.h"
#include "tests/support/waiting.h"

namespace libmseal::tests {
namespace {

void fork_inherits(std::span<char*>) {
  char* const before = sealed_page();
  in_child([&] {
    expect_sealed(before);
    expect_sealed(own_text());
    char* const own = sealed_page();
    expect_sealed(own);
    in_child([&] {
      expect_sealed(before);
      expect_sealed(own);
      EXPECT(::mseal_query(own, 1) == MSEAL_STATE_FULLY);
    });
  });
  expect_sealed(before);
}

// A filter can't be taken back, and there is room for so many: what is sealed takes no other one.
void sealed_again_without_a_filter(std::span<char*>) {
  char* const page = static_cast<char*>(map_far_away(page_size(), PROT_READ));
  EXPECT(::mseal(page, page_size(), 0) == 0);
  const std::string filters = number_of_filters();
  EXPECT(::mseal(page, page_size(), 0) == 0);
  EXPECT(::mseal(own_text(), page_size(), 0) == 0);
  EXPECT(number_of_filters() == filters);
  in_child([&] {
    EXPECT(::mseal(page, page_size(), 0) == 0);
    EXPECT(::mseal(own_text(), page_size(), 0) == 0);
    expect_sealed(page);
  });
}

// What is sealed and writable need not be in a fork: there mseal seals what is there now, if anything is.
void other_mapping_in_fork(std::span<char*>) {
  char* const page = map_pages(1);
  EXPECT(::mseal(page, page_size(), 0) == 0);
  REQUIRE_OR_STOP(::madvise(page, page_size(), MADV_DONTFORK) == 0);
  in_child([&] {
    EXPECT(::mseal(page, page_size(), 0) == -1 && errno == ENOMEM);
    void* const mapped = ::mmap(page, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {  // refused: the hole is as sealed as the page was
      EXPECT(errno == EPERM);
      return;
    }
    REQUIRE_OR_STOP(mapped == page);
    EXPECT(::mseal(page, page_size(), 0) == 0);
    expect_sealed(page);
  });
}

// What a child seals is the child's.
void fork_does_not_seal_the_parent(std::span<char*>) {
  char* const page = readable_page();
  in_child([&] {
    EXPECT(::mseal(page, page_size(), 0) == 0);
    expect_sealed(page);
  });
  in_child([&] {  // a sibling that has to seal for itself, whatever the table says of its brother
    EXPECT(::mseal(page, page_size(), 0) == 0);
    expect_sealed(page);
  });
  EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_READ | PROT_WRITE) == 0);
  EXPECT(Calls{Via::raw}.unmap(page, page_size()) == 0);
}

// The seal of one child is refused to no later one, although the first lives.
void later_siblings_are_free(std::span<char*>) {
  char* const pages[] = {readable_page(), map_watched(page_size(), PROT_READ)};
  REQUIRE_OR_STOP(pages[1] != nullptr);
  int told[2];
  REQUIRE_OR_STOP(::pipe(told) == 0);
  const pid_t first = ::fork();
  if (first == 0) {
    for (char* const page : pages) EXPECT(::mseal(page, page_size(), 0) == 0);
    EXPECT(::write(told[1], "x", 1) == 1);
    ::pause();
  }
  char byte = 0;
  EXPECT(::read(told[0], &byte, 1) == 1);
  wait_for_next_tick();  // or the others may be as old as the first
  in_child([&] {
    for (char* const page : pages) {
      EXPECT(Calls{Via::raw}.protect(page, page_size(), PROT_READ | PROT_WRITE) == 0);
      EXPECT(Calls{Via::raw}.unmap(page, page_size()) == 0);
    }
  });
  // Nor to a grandchild, whose parent the supervisor has not heard of.
  in_child([&] {
    in_child([&] {
      EXPECT(Calls{Via::raw}.protect(pages[1], page_size(), PROT_READ | PROT_WRITE) == 0);
      EXPECT(Calls{Via::raw}.unmap(pages[1], page_size()) == 0);
    });
  });
  (void)::kill(first, SIGKILL);
  (void)::waitpid(first, nullptr, 0);
}

// What a parent seals after the fork is the parent's: in a watched range, where the supervisor refuses, and
// elsewhere.
void seals_after_the_fork_are_not_inherited(std::span<char*>) {
  char* const watched = map_watched(2 * 65536, PROT_READ);
  char* const far_away = map_far_away(2 * 65536, PROT_READ);
  REQUIRE_OR_STOP(watched != nullptr && far_away != nullptr);
  for (char* const memory : {watched, far_away}) EXPECT(::mseal(memory, 65536, 0) == 0);
  std::array<int, 2> pipe{};
  REQUIRE_OR_STOP(::pipe(pipe.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    const bool told = ::read(pipe[0], &byte, 1) == 1;  // the first calls that this process makes come now
    const Calls call{Via::raw};
    EXPECT(told);
    for (char* const memory : {watched, far_away}) {
      EXPECT(call.protect(memory, 65536, PROT_READ | PROT_WRITE) == -EPERM);
      EXPECT(call.protect(memory + 65536, 65536, PROT_READ | PROT_WRITE) == 0);
      EXPECT(call.unmap(memory + 65536, 65536) == 0);
    }
    ::_exit(g_failures == 0 ? 0 : 1);
  }
  for (char* const memory : {watched, far_away}) EXPECT(::mseal(memory + 65536, 65536, 0) == 0);
  EXPECT(::write(pipe[1], "x", 1) == 1);
  EXPECT(ends_with(child, 0));
  for (char* const memory : {watched, far_away})
    EXPECT(Calls{Via::raw}.protect(memory + 65536, 65536, PROT_READ | PROT_WRITE) == -EPERM);
}

// The memory that a child seals is its own, whatever an earlier child has sealed at the same addresses: here
// the contents are protected, and there they were not. In a watched range, and elsewhere.
void seal_has_the_attributes_of_its_own_mapping(std::span<char*>) {
  char* const watched = map_watched(page_size(), PROT_READ | PROT_WRITE);
  char* const far_away = map_far_away(page_size(), PROT_READ | PROT_WRITE);
  REQUIRE_OR_STOP(watched != nullptr && far_away != nullptr);
  for (char* const memory : {watched, far_away}) {
    in_child([&] { EXPECT(::mseal(memory, page_size(), 0) == 0); });
    EXPECT(Calls{Via::raw}.protect(memory, page_size(), PROT_READ) == 0);
    in_child([&] {
      EXPECT(::mseal(memory, page_size(), 0) == 0);
      EXPECT(Calls{Via::raw}.advise(memory, page_size(), MADV_DONTNEED) == -EPERM);
    });
  }
}

void nothing_to_wait_for(std::span<char*>) {
  (void)sealed_page();
  EXPECT(::waitpid(-1, nullptr, 0) == -1 && errno == ECHILD);
  EXPECT(::waitpid(-1, nullptr, __WALL | WNOHANG) == -1 && errno == ECHILD);
}

std::vector<std::string> open_files() {
  std::vector<std::string> files;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name[0] != '.' && std::stoi(name) != ::dirfd(directory)) files.push_back(name);
  }
  ::closedir(directory);
  return files;
}

void no_descriptor_is_left(std::span<char*>) {
  const std::vector<std::string> standard{"0", "1", "2"};
  EXPECT(open_files() == standard);
  (void)sealed_page();
  EXPECT(open_files() == standard);
}

// A thousand children that do nothing: the supervisor has no part in it.
void forks_by_the_thousand(std::span<char*>) {
  for (int round = 0; round < 1000; ++round) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(round % 7);
    EXPECT(ends_with(child, round % 7));
  }
  expect_sealed(own_text());
}

// While a vfork child runs in this memory, no later filter reaches it: the seal must not pretend.
void vfork_child_prevents_sealing(std::span<char*>) {
  std::atomic<bool> go = false;
  int gate[2];
  REQUIRE_OR_STOP(::pipe(gate) == 0);
  std::thread parent([&] {
    const pid_t child = ::vfork();
    if (child == 0) {
      char byte = 0;
      go = true;
      (void)!::read(gate[0], &byte, 1);
      ::_exit(0);
    }
    (void)::waitpid(child, nullptr, 0);
  });
  while (!go.load()) ::sched_yield();
  void* const page = map_far_away(page_size(), PROT_READ);
  EXPECT(::mseal(page, page_size(), 0) == -1 && errno == EAGAIN);
  auto* const hole = static_cast<char*>(map_far_away(3 * page_size(), PROT_READ)) + page_size();
  EXPECT(::munmap(hole, page_size()) == 0);
  EXPECT(::mseal(hole, 2 * page_size(), 0) == -1 && errno == ENOMEM);
  EXPECT(::write(gate[1], "x", 1) == 1);
  parent.join();
  EXPECT(::mseal(page, page_size(), 0) == 0);
  expect_sealed(static_cast<char*>(page));
}

// A seal that waits until a vfork child is gone, in a tree that leaves its supervisor no moment without a
// call.
void seal_waits_among_busy_children(std::span<char*>) {
  char* const watched = map_watched(page_size(), PROT_READ);
  REQUIRE_OR_STOP(watched != nullptr);
  std::array<pid_t, 2> busy{};
  for (pid_t& child : busy) {
    child = ::fork();
    while (child == 0) ::madvise(watched, page_size(), MADV_DONTNEED);
  }
  std::atomic<bool> go = false;
  std::thread parent([&] {
    const pid_t child = ::vfork();
    if (child == 0) {
      go = true;
      ::usleep(300'000);
      ::_exit(0);
    }
    (void)::waitpid(child, nullptr, 0);
  });
  while (!go.load()) ::sched_yield();
  char* const page = readable_page();
  const auto start = std::chrono::steady_clock::now();
  EXPECT(::mseal(page, page_size(), 0) == 0);
  EXPECT(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1500) * patience());
  for (const pid_t child : busy) {
    (void)::kill(child, SIGKILL);
    (void)::waitpid(child, nullptr, 0);
  }
  parent.join();
  expect_sealed(page);
}

// A process that shares this memory is killed in mseal, which it would wait in for a second.
void killed_in_mseal(std::span<char*>) {
  static char* const page = readable_page();
  alignas(16) static char stack[65536];
  const auto seal = [](void*) -> int {
    (void)::mseal(page, page_size(), 0);
    while (true) (void)::raise(SIGSTOP);
  };
  const pid_t child = ::clone(seal, stack + sizeof stack, CLONE_VM | SIGCHLD, nullptr);
  REQUIRE_OR_STOP(child > 0);
  ::usleep(200'000);
  (void)::kill(child, SIGKILL);
  (void)::waitpid(child, nullptr, 0);
  const auto start = std::chrono::steady_clock::now();
  EXPECT(::mseal(page, page_size(), 0) == -1 && errno == EAGAIN);
  EXPECT(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
}

// Descriptor 2 is a file of the program, or its log, which is opened for appending.
void message_into_file(std::span<char*> arguments) {
  REQUIRE_OR_STOP(arguments.size() == 1);
  const bool is_log = std::string(arguments[0]) == "log";
  char name[] = "/tmp/libmseal-messages-XXXXXX";
  const int file = ::mkstemp(name);
  const int other = ::open(name, O_WRONLY | (is_log ? O_APPEND : 0));
  ::unlink(name);
  const int before = ::dup(2);
  REQUIRE_OR_STOP(file >= 0 && ::dup2(other, 2) == 2);
  // for it is not sealable
  void* const page = ::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool refused = ::mseal(page, page_size(), 0) == -1;
  ::dup2(before, 2);
  EXPECT(refused);
  struct stat status {};
  EXPECT(::fstat(file, &status) == 0);
  EXPECT((status.st_size != 0) == is_log);
}

void no_child_to_wait_for(std::span<char*>) {
  EXPECT(::waitpid(-1, nullptr, 0) == -1 && errno == ECHILD);
  expect_sealed(sealed_page());
}

constexpr Scenario kScenarios[] = {
    {"fork_inherits", fork_inherits},
    {"sealed_again_without_a_filter", sealed_again_without_a_filter},
    {"other_mapping_in_fork", other_mapping_in_fork},
    {"fork_does_not_seal_the_parent", fork_does_not_seal_the_parent},
    {"later_siblings_are_free", later_siblings_are_free},
    {"seals_after_the_fork_are_not_inherited", seals_after_the_fork_are_not_inherited},
    {"seal_has_the_attributes_of_its_own_mapping", seal_has_the_attributes_of_its_own_mapping},
    {"nothing_to_wait_for", nothing_to_wait_for},
    {"no_child_to_wait_for", no_child_to_wait_for},
    {"message_into_file", message_into_file},
    {"no_descriptor_is_left", no_descriptor_is_left},
    {"forks_by_the_thousand", forks_by_the_thousand},
    {"vfork_child_prevents_sealing", vfork_child_prevents_sealing},
    {"killed_in_mseal", killed_in_mseal},
    {"seal_waits_among_busy_children", seal_waits_among_busy_children},
};

}  // namespace

std::span<const Scenario> process_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
