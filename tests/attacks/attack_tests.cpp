// Runs every attack under our seals and, where there is one, under the kernel's own.
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

struct Attack {
  const char* name;
  int under_seccomp = 0;  // the exit status of attack.h
  int under_kernel = 0;
};

constexpr Attack kAttacks[] = {
    {"grows_down"},
    {"huge_page_by_flag"},
    {"huge_page_by_file"},
    {"segment_over"},
    {"segment_detached"},
    {"file_pages_remapped"},
    {"file_pages_rounded"},
    {"aio_ring_destroyed"},
    {"process_madvise_self"},
    {"io_uring_madvise"},
#ifdef __x86_64__
    {"i386_calls"},
    {"i386_across_4g"},
    {"x32_numbers"},
#endif
    {"upper_halves"},
    {"tagged_addresses"},
    {"new_identity"},
    {"sibling_process"},
    {"own_listener"},
    {"own_filters"},
    {"not_dumpable"},
    {"lost_on_fork"},
    {"other_namespaces"},
    {"no_proc"},
    {"reused_pid"},
    {"threads_being_born"},
    // outside what sealing promises: no mapping is changed
    {"proc_mem_write", 1, 1},
    {"task_mem_write", 1, 1},
    {"reopened_mem", 1, 1},
    {"process_vm_write", 1, 1},
    {"traced_write", 1, 1},
    {"user_fault", 1, 1},
};

constexpr int kCannotTry = 77;

void attack(const Attack& attack, const std::string& options, int expected) {
  DYNAMIC_SECTION(attack.name << " under " << options) {
    const std::string log =
        std::filesystem::temp_directory_path() / ("libmseal-attack-" + std::to_string(::getpid()) + ".log");
    const Run result =
        run(preloaded(options + ",log=" + log, {std::string(ATTACKS) + "/" + attack.name, log}));
    std::filesystem::remove(log);
    INFO(result.out << result.err);
    if (std::string_view(attack.name) == "own_listener" && options == "backend=seccomp") {
      CHECK_THAT(result.out, Catch::Matchers::Contains("the supervisor is killed"));
    }
    if (!needs(result.status != kCannotTry, std::string(attack.name) + ": " + result.out)) return;
    CHECK(result.status == expected);
  }
}

TEST_CASE("attack: under our seals") {
  for (const Attack& one : kAttacks) attack(one, "backend=seccomp", one.under_seccomp);
}

TEST_CASE("attack: when every call is reported") {
  for (const Attack& one : kAttacks) attack(one, "backend=seccomp,coverage=all", one.under_seccomp);
}

TEST_CASE("attack: without a supervisor, on deny filters alone") {
  for (const Attack& one : kAttacks) {
    if (std::string_view(one.name) != "huge_page_by_file") attack(one, "backend=filter", one.under_seccomp);
  }
}

TEST_CASE("attack: what harden= refuses") {
  std::vector<std::string> backends{"seccomp", "filter"};
  if (::syscall(462, 0, 0, 0) == 0) backends.emplace_back("kernel");
  for (const std::string& backend : backends) {
    const std::string options = "harden=ptrace+process_vm_writev+userfaultfd,backend=" + backend;
    for (const char* name : {"process_vm_write", "traced_write", "user_fault"}) attack({name}, options, 0);
    if (!needs_landlock()) continue;
    for (const char* name : {"proc_mem_write", "task_mem_write", "reopened_mem"}) {
      attack({name}, "harden=proc_mem,backend=" + backend, 0);
    }
  }
}

TEST_CASE("attack: root can rob the supervisor of its listener, unless hardened") {
  if (!needs(::geteuid() == 0, "root")) return;
  attack({"listener_stolen"}, "backend=seccomp", 1);
  attack({"listener_stolen"}, "harden=ptrace,backend=seccomp", 0);
}

TEST_CASE("attack: under the kernel's own seals") {
  if (!needs_mseal()) return;
  for (const Attack& one : kAttacks) attack(one, "backend=kernel", one.under_kernel);
}

// The attacks are real: without any seal they do change their victims.
TEST_CASE("attack: a page that nobody sealed is changed by them") {
  for (const char* name :
       {"grows_down", "segment_over", "segment_detached", "file_pages_remapped", "file_pages_rounded",
#ifdef __x86_64__
        "i386_calls", "i386_across_4g",
#endif
        "upper_halves", "own_filters", "lost_on_fork", "aio_ring_destroyed", "io_uring_madvise",
        "huge_page_by_flag", "huge_page_by_file"}) {
    const Run result = run({{std::string(ATTACKS) + "/" + name}, {{"LD_PRELOAD", NO_SEAL_SO}}, {}, 60});
    INFO(name << ": " << result.out << result.err);
    if (!needs(result.status != kCannotTry, name)) continue;
    CHECK(result.status == 1);
  }
}

}  // namespace
}  // namespace libmseal::tests
