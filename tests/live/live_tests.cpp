// Starts live_program under the preload, scenario by scenario and backend by backend; and other people's
// programs.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

// A scenario as the user nobody, from copies that everybody can read: the build may lie in a private folder.
Run run_as_nobody(const std::string& options, const std::string& name, const std::string& argument) {
  namespace fs = std::filesystem;
  const TemporaryPath copies("nobody");
  fs::create_directory(copies.string());
  fs::permissions(copies.string(), fs::perms(0755));
  for (const char* file : {LIVE_PROGRAM, LIBMSEAL_SO, MSEAL_SUPERVISOR}) {
    fs::copy_file(file, copies.string() / fs::path(file).filename());
  }
  Command command = preloaded(options, {copies.string() + "/live_program", name, argument});
  command.environment["LD_PRELOAD"] = copies.string() + "/libmseal.so";
  command.prepare = [] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(124);
  };
  return run(command);
}

void scenario(const std::string& options, const std::string& name) {
  DYNAMIC_SECTION(name << " with " << options) {
    const Run result = run(preloaded(options, {LIVE_PROGRAM, name}));
    expect_success(result);
    CHECK(result.err == "");
  }
}

constexpr const char* kEverywhere[] = {
    "refuses_changes",
    "leaves_neighbours_alone",
    "keeps_kernels_order_of_errors",
    "discards_what_is_writable",
    "seals_mixed_protections",
    "keeps_sealed_heap",
    "errors_of_mseal",
    "reseals",
    "seals_by_syscall_function",
    "mimmutable_rounds_down",
    "query_tells",
    "own_text_is_sealed",
    "fork_inherits",
    "fork_does_not_seal_the_parent",
    "seals_after_the_fork_are_not_inherited",
    "threads_are_covered",
    "nothing_to_wait_for",
    "no_descriptor_is_left",
    "signals_do_not_help",
    "seal_beats_in_flight_calls",
    "busy_threads_do_not_notice",
    "debugged_thread_is_waited_for",
};

TEST_CASE("live: workers of another user, where the supervisor may not look at them") {
  for (const char* options : {"backend=seccomp", "backend=seccomp,coverage=all"}) {
    DYNAMIC_SECTION(options) {
      Command command = preloaded(options, {LIVE_PROGRAM, "workers_of_another_user"});
      command.prepare = [] {
        if (::prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE) != 0) ::_exit(124);
      };
      expect_success(run(command));
    }
  }
}

TEST_CASE("live: seals hold under backend=seccomp") {
  for (const char* name : kEverywhere) scenario("backend=seccomp", name);
}

TEST_CASE("live: seals hold under backend=filter") {
  for (const char* name : kEverywhere) scenario("backend=filter", name);
}

TEST_CASE("live: seals hold under coverage=all") {
  for (const char* name : kEverywhere) scenario("backend=seccomp,coverage=all", name);
  for (const char* name : {"exec_drops", "sealed_from_birth", "region_freezes", "errors_of_batches",
                           "interrupted_calls_go_on"}) {
    scenario("backend=seccomp,coverage=all", name);
  }
}

TEST_CASE("live: a heap grows and shrinks under signals, and malloc with it") {
  for (const char* options : {"coverage=all", "mode=audit"})
    scenario(std::string("backend=seccomp,") + options, "heap_grows_under_signals");
}

TEST_CASE("live: coverage=all takes seals by the hundred, and images one after the other") {
  expect_success(run(preloaded("backend=seccomp,coverage=all", {LIVE_PROGRAM, "seals_in_batches", "1000"})));
  expect_success(
      run(preloaded("backend=seccomp,coverage=all,auto=off", {LIVE_PROGRAM, "seals_one_by_one", "200"})));
  expect_success(run(preloaded("backend=seccomp,coverage=all", {LIVE_PROGRAM, "exec_chain", "10"})));
}

TEST_CASE("live: the same expectations hold for the kernel's own mseal") {
  if (!needs_mseal()) return;
  for (const char* name :
       {"leaves_neighbours_alone", "keeps_kernels_order_of_errors", "keeps_sealed_heap", "errors_of_mseal",
        "reseals", "seals_by_syscall_function", "mimmutable_rounds_down", "query_tells",
        "threads_are_covered", "no_descriptor_is_left", "nothing_to_wait_for",
        "seals_after_the_fork_are_not_inherited"}) {
    scenario("backend=kernel", name);
  }
}

TEST_CASE("live: seals hold when the backend starts at the first mseal") {
  for (const char* backend : {"seccomp", "filter"}) {
    const std::string options = std::string("auto=off,backend=") + backend;
    for (const char* name :
         {"refuses_changes", "leaves_neighbours_alone", "keeps_sealed_heap", "threads_are_covered",
          "nothing_to_wait_for", "no_descriptor_is_left", "errors_of_mseal", "own_text_is_not_sealed"}) {
      scenario(options, name);
    }
  }
}

TEST_CASE("live: protection keys decide who may discard sealed memory") {
  const int key = ::pkey_alloc(0, 0);
  if (key > 0) ::pkey_free(key);
  if (!needs(key > 0, "a processor with protection keys", "pkeys")) return;
  for (const char* backend : {"backend=seccomp", "backend=filter"}) {
    scenario(backend, "raw_discard_of_keyed_memory_is_refused");
    scenario(backend, "keys_decide_about_discarding");
  }
  if (needs_mseal()) scenario("backend=kernel", "keys_decide_about_discarding");
}

TEST_CASE("live: exec drops what the old image sealed") {
  scenario("backend=seccomp", "exec_drops");
  scenario("backend=seccomp", "exec_fences");
  scenario("backend=seccomp", "hints_stay_out_of_watched_places");
  expect_success(
      run(preloaded("backend=seccomp,require=seccomp", {LIVE_PROGRAM, "starts_behind_many_fences", "6000"})));
}

// What an image meets when the kernel puts a part of it where an ancestor has a filter: a known limit, of
// about one in 10^5 for each start and each ancestor.
bool hurt_by_an_ancestor(const Run& result) {
  return result.err.find("failed to map segment") != std::string::npos ||
         result.err.find("memory protection after relocation") != std::string::npos;
}

TEST_CASE("live: fifty images one after the other, each with its seals") {
  std::vector<std::pair<const char*, const char*>> chains{{"backend=seccomp", "50"}};
#ifdef __x86_64__  // elsewhere images meet their ancestors' filters too often (libmseal(7), LIMITS)
  chains.emplace_back("backend=filter", "10");
#endif
  for (const auto& [backend, length] : chains) {
    Run result;
    for (int attempt = 0; attempt < 3; ++attempt) {
      result = run(preloaded(backend, {LIVE_PROGRAM, "exec_chain", length}));
      if (!hurt_by_an_ancestor(result)) break;
      WARN("an image was hurt by an ancestor's filter: " << result.err);
    }
    expect_success(result);
  }
  scenario("backend=seccomp", "forks_by_the_thousand");
}

constexpr const char* kTree = R"(
import os, subprocess, sys, threading
program = sys.argv[1]
check = [program, 'own_text_is_sealed']
failed = []
def expect(what, status):
    if status != 0: failed.append((what, status))
expect('subprocess', subprocess.run(check).returncode)
expect('system', os.system(' '.join(check)))
expect('posix_spawn', os.waitpid(os.posix_spawn(program, check, os.environ), 0)[1])
expect('xargs', subprocess.run(['xargs', '-P', '4', '-n', '1', program], input=b'own_text_is_sealed ' * 12).returncode)
expect('make', subprocess.run(['make', '-s', '-j4', '-f', '-', 'all'], input=''.join(
    ['all: ' + ' '.join(f't{i}' for i in range(8)) + '\n'] +
    [f't{i}:\n\t{program} own_text_is_sealed\n' for i in range(8)]).encode()).returncode)
children = [threading.Thread(target=lambda: expect('thread', subprocess.run(check).returncode)) for _ in range(4)]
for child in children: child.start()
for child in children: child.join()
reader, writer = os.pipe()
if os.fork() == 0:          # a daemon: its parent is gone before it starts the program
    os.setsid()
    if os.fork() == 0:
        os.write(writer, b'ok' if subprocess.run(check).returncode == 0 else b'no')
    os._exit(0)
os.wait()
expect('daemon', 0 if os.read(reader, 2) == b'ok' else 1)
print(failed)
)";

TEST_CASE("live: every program of a tree has its seals, however it was started") {
  if (!needs(std::filesystem::exists("/usr/bin/python3"), "/usr/bin/python3")) return;
  const TemporaryPath log("tree.log");
  const Run result =
      run(preloaded("backend=seccomp,log=" + log.string(), {"/usr/bin/python3", "-c", kTree, LIVE_PROGRAM}));
  INFO(result.err);
  CHECK(result.out == "[]\n");
  CHECK(result.status == 0);
  // One supervisor for all of them, which ends with the tree.
  std::string text;
  for (int wait = 0; wait < 100 && text.find("no process is left") == std::string::npos; ++wait) {
    ::usleep(50'000);
    std::stringstream all;
    all << std::ifstream(log.string()).rdbuf();
    text = all.str();
  }
  CHECK_THAT(text, ContainsSubstring("no process is left"));
  const std::size_t first = text.find("] supervisor ");
  CHECK(first != std::string::npos);
  CHECK(text.find("] supervisor ", first + 1) == std::string::npos);
}

TEST_CASE("live: scope=process leaves the children alone, until they ask for seals") {
  const std::string sealed = std::string(LIVE_PROGRAM) + " own_text_is_sealed";
  const std::string unsealed = std::string(LIVE_PROGRAM) + " own_text_is_not_sealed";
  const std::string api = std::string(LIVE_PROGRAM) + " reseals";
  for (const char* backend : {"backend=seccomp", "backend=filter"}) {
    const std::string options = std::string(backend) + ",scope=process";
    expect_success(run(preloaded(options, {LIVE_PROGRAM, "own_text_is_sealed"})));
    expect_success(run(preloaded(options, {"/bin/bash", "-c", unsealed + " && " + api + "; exit $?"})));
    // The same process, another image: still what was started under the library.
    expect_success(run(preloaded(options, {"/bin/bash", "-c", "exec " + sealed})));
    expect_success(run(preloaded(backend, {"/bin/bash", "-c", sealed + "; exit $?"})));
  }
}

#ifdef __x86_64__
// What ancestors have sealed, by the supervisor and by filters, is nothing to an image, whatever kind it is
// of.
TEST_CASE("live: exec'd images of every kind are not hurt by what their ancestors sealed") {
  const TemporaryPath folder("images");
  std::filesystem::create_directories(folder.string());
  const std::string source = folder.string() + "/image.c";
  // Changes the protection of all of its own memory, as nobody else may.
  std::ofstream(source) << R"(
extern char __executable_start, _end;
static long call3(long n, long a, long b, long c) {
  long r;
#ifdef __x86_64__
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#else
  __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
#endif
  return r;
}
#ifdef __x86_64__
enum { kExit = 60, kMprotect = 10, kMunmap = 11 };
#else
enum { kExit = 1, kMprotect = 125, kMunmap = 91 };
#endif
char unused[3 * 65536] = {1};
void _start(void) {
  const long start = (long)&__executable_start & -4096L;
  const long size = ((long)&_end - start + 4095) & -4096L;
  long failed = call3(kMprotect, start, size, 7) != 0;
  failed += call3(kMunmap, ((long)unused + 65535) & -65536L, 65536, 0) != 0;
  call3(kExit, failed, 0, 0);
}
)";
  const auto build = [&](const std::string& name, std::vector<std::string> flags) {
    std::vector<std::string> command{
        "gcc", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-o", folder.string() + "/" + name,
        source};
    command.insert(command.end(), flags.begin(), flags.end());
    const Run built = run({command, {}, {}, 60});
    INFO(built.err);
    return needs(built.status == 0, "gcc, for " + name);
  };
  std::vector<std::string> images;
  for (const auto& [name, flags] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"static", {"-static", "-no-pie"}},
           {"static-pie", {"-static-pie", "-fPIE"}},
           {"32-bit", {"-m32", "-static", "-no-pie"}},
           {"setuid", {"-static", "-no-pie"}}}) {
    if (!build(name, flags)) continue;
    const std::string image = folder.string() + "/" + name;
    const bool runs = run({{"/bin/sh", "-c", image}, {}, {}, 60}).status != 126;
    if (needs(runs, "a kernel that runs 32-bit programs", "i386")) images.push_back(image);
  }
  std::filesystem::permissions(folder.string() + "/setuid", std::filesystem::perms(04755));
  std::string all = "set -e; ulimit -c 0; ";
  for (const std::string& image : images) all += image + "; setarch -R " + image + "; ";
  // Dynamic images: under the library, without it, and without randomised addresses.
  const std::string live = std::string(LIVE_PROGRAM);
  all += live + " own_text_is_sealed; setarch -R " + live + " own_text_is_sealed; ";
  all += "LD_PRELOAD= /bin/true; LD_PRELOAD= setarch -R /bin/true; setarch -R /bin/true; ";
  for (const char* options : {"backend=seccomp", "backend=seccomp,coverage=all", "backend=filter"}) {
    for (const bool randomised : {true, false}) {
      // Without a supervisor, an image at fixed addresses meets what an earlier one has sealed there
      // (libmseal(7)).
      if (options == std::string("backend=filter") && !randomised) continue;
      std::vector<std::string> command{LIVE_PROGRAM, "becomes", "/bin/bash", "-c", all + "exit 0"};
      if (!randomised) command.insert(command.begin(), {"/usr/bin/setarch", "-R"});
      INFO(options << (randomised ? "" : " without randomised addresses"));
      const Run result = run(preloaded(options, command));
      INFO(result.out << result.err);
      CHECK(result.status == 0);
    }
  }
}
#endif

TEST_CASE("live: images one after the other at the same addresses, in every layout of memory") {
  const std::string chain = std::string(LIVE_PROGRAM) + " exec_chain 4";
  for (const std::string& command : std::vector<std::string>{
           "exec setarch -R " + chain, "exec setarch -R -L " + chain,
           "ulimit -s unlimited && exec setarch -R " + chain, "ulimit -s unlimited && exec " + chain,
           "exec setarch -3 -R " + chain, "exec setarch -B -R " + chain}) {
    INFO(command);
    expect_success(run(preloaded("backend=seccomp", {"/bin/sh", "-c", command})));
  }
}

TEST_CASE("live: no seal is promised while a vfork child runs in the memory") {
  const Run result = run(preloaded("backend=seccomp", {LIVE_PROGRAM, "vfork_child_prevents_sealing"}));
  expect_success(result);
  CHECK_THAT(result.err, ContainsSubstring("another process runs in this memory"));
}

TEST_CASE("live: a killed supervisor fails closed") {
  const TemporaryPath log("supervisor.log");
  expect_success(run(preloaded("backend=seccomp,log=" + log.string(),
                               {LIVE_PROGRAM, "dead_supervisor_fails_closed", log.string()})));
}

TEST_CASE("live: a stopped supervisor lets nothing through") {
  const TemporaryPath log("supervisor.log");
  expect_success(run(preloaded("backend=seccomp,log=" + log.string(),
                               {LIVE_PROGRAM, "stopped_supervisor_lets_nothing_through", log.string()})));
}

TEST_CASE("live: the supervisor is out of reach of its user's other processes") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  const TemporaryPath log("supervisor.log");
  expect_success(run_as_nobody("backend=seccomp,log=" + log.string(), "supervisor_is_private", log.string()));
}

TEST_CASE("live: a process that hides itself goes on sealing") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  const Run result = run_as_nobody("backend=seccomp", "hidden_process_seals_on", "");
  expect_success(result);
  CHECK(result.err == "");
}

TEST_CASE("live: a thread with filters of its own prevents sealing, and one line says so") {
  for (const char* backend : {"backend=seccomp", "backend=filter"}) {
    const Run result = run(preloaded(backend, {LIVE_PROGRAM, "own_filters_on_one_thread"}));
    expect_success(result);
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err,
               ContainsSubstring("a thread of this program installed seccomp filters of its own"));
  }
}

TEST_CASE("live: when filters are used up, mseal fails and one line says what to do") {
  for (const auto& [backend, least] :
       {std::pair("backend=seccomp", "700"), std::pair("backend=filter", "100")}) {
    const Run result = run(preloaded(backend, {LIVE_PROGRAM, "budget_ends_cleanly", least}));
    expect_success(result);
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err, ContainsSubstring("takes no more filters") &&
                               ContainsSubstring("what is sealed stays sealed"));
  }
}

TEST_CASE("live: thousands of ranges in one call, all or nothing") {
  expect_success(run(preloaded("backend=seccomp", {LIVE_PROGRAM, "seals_in_batches", "5000"})));
  expect_success(run(preloaded("backend=filter", {LIVE_PROGRAM, "seals_in_batches", "1000"})));
  expect_success(run(preloaded("backend=libc", {LIVE_PROGRAM, "errors_of_batches"})));
  for (const char* backend : {"backend=seccomp", "backend=filter"}) {
    scenario(backend, "errors_of_batches");
    expect_success(run(preloaded(backend, {LIVE_PROGRAM, "batch_past_the_budget"})));
  }
  if (needs_mseal()) {
    scenario("backend=kernel", "errors_of_batches");
    expect_success(run(preloaded("backend=kernel", {LIVE_PROGRAM, "seals_in_batches", "5000"})));
  }
}

TEST_CASE("live: what seals from birth is out of the way of memory that programs place at random") {
  for (const char* backend : {"backend=seccomp", "backend=filter"})
    scenario(backend, "random_places_are_free");
}

TEST_CASE("live: mmap(PROT_SEAL) seals from birth") {
  for (const char* options : {"backend=seccomp", "backend=seccomp,auto=off", "backend=filter"}) {
    scenario(options, "sealed_from_birth");
  }
  if (needs_mseal()) scenario("backend=kernel", "sealed_from_birth");
  scenario("backend=seccomp", "sixty_thousand_from_birth");
}

TEST_CASE("live: a memory resource is filled and frozen") {
  for (const char* backend : {"backend=seccomp", "backend=filter"}) scenario(backend, "region_freezes");
  if (needs_mseal()) scenario("backend=kernel", "region_freezes");
}

TEST_CASE("live: control messages are no way out") {
  expect_success(run(preloaded("backend=seccomp", {LIVE_PROGRAM, "raw_mseal_is_unknown"})));
}

TEST_CASE("live: the libc backend covers libc's functions, and says what it does not") {
  const Run result = run(preloaded("backend=libc,verbose=1", {LIVE_PROGRAM, "libc_backend_sees_libc_only"}));
  expect_success(result);
}

// ---- other people's programs ----

constexpr const char* kPythonAttack = R"(
import ctypes, os, sys
munmap, madvise = (11, 28) if os.uname().machine == 'x86_64' else (215, 233)
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.syscall.argtypes = [ctypes.c_long] * 5
tried = refused = 0
for line in open('/proc/self/maps'):
    where, mode, _, _, inode, *path = line.split()
    if mode[0] == '-' or mode[1] == 'w' or inode == '0' or '/lib' not in path[0] and '/bin/' not in path[0]: continue
    if 'locale' in path[0] or 'gconv' in path[0] or 'lib-dynload' in path[0] or 'libffi' in path[0]: continue
    start, end = (int(x, 16) for x in where.split('-'))
    for call in (lambda: libc.mprotect(start, end - start, 7), lambda: libc.syscall(munmap, start, 4096, 0, 0),
                 lambda: libc.syscall(madvise, start, 4096, 4, 0)):
        tried += 1
        ctypes.set_errno(0)
        held = call() == -1 and ctypes.get_errno() == 1
        refused += held
        if not held: print(line, file=sys.stderr)
print(tried > 20, tried == refused)
)";

TEST_CASE("live: an unmodified python3 can no longer change its own code, constants and RELRO") {
  if (!needs(std::filesystem::exists("/usr/bin/python3"), "/usr/bin/python3")) return;
  for (const char* backend : {"seccomp", "filter"}) {
    const Run result =
        run(preloaded(std::string("backend=") + backend, {"/usr/bin/python3", "-c", kPythonAttack}));
    INFO(result.err);
    CHECK(result.out == "True True\n");
    CHECK(result.err == "");
  }
}

TEST_CASE("live: an unmodified bash does its work, subprocesses and all") {
  const Run result =
      run(preloaded("backend=seccomp", {"/bin/bash", "-c",
                                        "for i in 1 2 3; do echo $i | cat; done; (exit 3); echo $?; "
                                        "/bin/true && ls / | grep -c . >/dev/null; wait; echo done"}));
  CHECK(result.out == "1\n2\n3\n3\ndone\n");
  CHECK(result.err == "");
  CHECK(result.status == 0);
}

TEST_CASE("live: exit status, signals and standard streams are the program's") {
  CHECK(run(preloaded("backend=seccomp", {"/bin/sh", "-c", "exit 7"})).status == 7);
  CHECK(run(preloaded("backend=seccomp", {"/bin/sh", "-c", "kill -TERM $$"})).status == 128 + SIGTERM);
  CHECK(run(preloaded("backend=seccomp", {"/bin/sh", "-c", "kill -SEGV $$"})).status == 128 + SIGSEGV);
  const Run streams = run(preloaded("backend=seccomp", {"/bin/sh", "-c", "echo out; echo err >&2"}));
  CHECK(streams.out == "out\n");
  CHECK(streams.err == "err\n");
}

TEST_CASE("live: a pipe ends when its program ends") {
  Command command = preloaded("backend=seccomp", {"/bin/sh", "-c", "/bin/echo hello | /bin/cat"});
  command.timeout_s = 20;
  CHECK(run(command).out == "hello\n");
}

// Before Linux 6.11 the kernel does not wake a supervisor that waits for the next call when there is nobody
// left to make one.
TEST_CASE("live: the supervisor ends with its tree, however many calls came last") {
  const TemporaryPath log("ends.log");
  expect_success(run(preloaded("policy=none,backend=seccomp,coverage=all,verbose=1,log=" + log.string(),
                               {LIVE_PROGRAM, "makes_many_calls"})));
  std::string text;
  for (int wait = 0; wait < 250; ++wait) {
    text = text_in(log.string());
    if (text.find("no process is left") != std::string::npos) break;
    ::usleep(20'000);
  }
  CHECK_THAT(text, ContainsSubstring("no process is left"));
}

TEST_CASE("live: a program started with closed standard streams") {
  Command command = preloaded("backend=seccomp", {LIVE_PROGRAM, "own_text_is_sealed"});
  command.prepare = [] {
    for (int stream = 0; stream <= 2; ++stream) ::close(stream);
  };
  CHECK(run(command).status == 0);
}

// ---- what is missing is said in one line ----

TEST_CASE("live: a missing supervisor means backend filter, in one line") {
  const Run result =
      run(preloaded("supervisor=/nonexistent/supervisor,backend=seccomp", {LIVE_PROGRAM, "refuses_changes"}));
  expect_success(result);
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err,
             ContainsSubstring("backend filter instead of seccomp: the supervisor could not be started "
                               "(/nonexistent/supervisor), no such file"));
  const Run required = run(preloaded("supervisor=/nonexistent/supervisor,backend=seccomp,require=seccomp",
                                     {"/bin/echo", "never"}));
  CHECK(required.status == 127);
  CHECK(required.out == "");
  CHECK_THAT(required.err, ContainsSubstring("require=seccomp cannot be met"));
}

TEST_CASE("live: a supervisor that is no program, or not ours") {
  const TemporaryPath text("text");
  std::ofstream(text.string()) << "no program\n";
  std::filesystem::permissions(text.string(), std::filesystem::perms::owner_all);
  const Run no_program = run(preloaded("backend=seccomp,supervisor=" + text.string(), {"/bin/true"}));
  CHECK_THAT(no_program.err, ContainsSubstring("backend filter") && ContainsSubstring("not a program"));
  const Run stranger = run(preloaded("backend=seccomp,supervisor=/bin/true", {"/bin/true"}));
  CHECK_THAT(stranger.err, ContainsSubstring("backend filter") && ContainsSubstring("ended early"));
}

// Filters that a stricter environment might have put on us.
long install(std::initializer_list<sock_filter> filter, unsigned flags) {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.begin())};
  const long installed = ::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (installed < 0) ::_exit(125);
  return installed;
}

long answer_with(int number, std::uint32_t action, unsigned flags = 0) {
  return install({BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1),
                  BPF_STMT(BPF_RET | BPF_K, action), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)},
                 flags);
}

TEST_CASE("live: where another listener is in force, deny filters do the work, and one line says so") {
  Command command = preloaded("backend=seccomp", {LIVE_PROGRAM, "refuses_changes"});
  command.prepare = [] {
    const long listener = answer_with(999, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    ::fcntl(static_cast<int>(listener), F_SETFD, 0);  // it lives on in the program
  };
  const Run result = run(command);
  expect_success(result);
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err,
             ContainsSubstring("backend filter instead of seccomp") && ContainsSubstring("EBUSY"));
}

TEST_CASE("live: without seccomp only libc's functions are checked, and one line says so") {
  Command command = preloaded("backend=seccomp", {LIVE_PROGRAM, "libc_backend_sees_libc_only"});
  command.prepare = [] { answer_with(__NR_seccomp, SECCOMP_RET_ERRNO | ENOSYS); };
  const Run result = run(command);
  expect_success(result);
  CHECK(count_lines(result.err) == 1);
  CHECK_THAT(result.err, ContainsSubstring("backend libc instead of seccomp") &&
                             ContainsSubstring("raw system calls pass"));
  Command required = preloaded("backend=seccomp,require=filter", {"/bin/true"});
  required.prepare = command.prepare;
  CHECK(run(required).status == 127);
}

TEST_CASE("live: without /proc the loaded objects stay unsealed, and one line says so") {
  if (!needs(::geteuid() == 0, "root, to hide /proc")) return;
  const Run result = run({{"unshare", "-m", "sh", "-c",
                           "mount -t tmpfs none /proc && LD_PRELOAD=" LIBMSEAL_SO
                           " MSEAL_OPTIONS=backend=seccomp /bin/echo works"},
                          {},
                          {},
                          60});
  INFO(result.err);
  if (!needs(result.err.find("unshare:") == std::string::npos, "mount namespaces")) return;
  CHECK(result.out == "works\n");
  CHECK_THAT(result.err, ContainsSubstring("the loaded objects are not sealed: /proc/thread-self/maps"));
}

TEST_CASE("live: an unprivileged user gets the same, with no_new_privs") {
  if (!needs(::geteuid() == 0, "root, to become somebody else")) return;
  const Run result = run_as_nobody("backend=seccomp", "refuses_changes", "");
  expect_success(result);
  CHECK(result.err == "");
}

// ---- options ----

TEST_CASE("live: a hardened program does its ordinary work, and so do its children") {
  if (!needs_landlock()) return;
  const TemporaryPath folder("hardened");
  std::filesystem::create_directories(folder.string() + "/a");
  std::filesystem::create_directories(folder.string() + "/b");
  const std::string options = "harden=ptrace+process_vm_writev+userfaultfd+proc_mem,backend=seccomp";
  const Run result = run(preloaded(
      options,
      {"/bin/bash", "-c",
       "cd " + folder.string() +
           " && echo x > a/x && mv a/x b/y && cat b/y > /dev/null && echo to >/dev/stdout | cat &&"
           " (echo 0 > /proc/self/oom_score_adj) 2>/dev/null || bash -c 'echo in a child > b/z; cat b/z'"}));
  INFO(result.err);
  CHECK(result.out == "to\nin a child\n");
  CHECK(result.err == "");
  CHECK(result.status == 0);
}

TEST_CASE("live: hardening that can't be had ends the program, and one line says why") {
  Command command = preloaded("harden=proc_mem,backend=seccomp", {"/bin/echo", "never"});
  command.prepare = [] { answer_with(444, SECCOMP_RET_ERRNO | ENOSYS); };  // landlock_create_ruleset
  const Run no_landlock = run(command);
  CHECK(no_landlock.status == 127);
  CHECK(no_landlock.out == "");
  CHECK(count_lines(no_landlock.err) == 1);
  CHECK_THAT(no_landlock.err, ContainsSubstring("harden=proc_mem cannot be met: it takes Landlock"));

  command = preloaded("harden=ptrace,backend=libc", {"/bin/echo", "never"});
  command.prepare = [] { answer_with(__NR_seccomp, SECCOMP_RET_ERRNO | ENOSYS); };
  const Run no_seccomp = run(command);
  CHECK(no_seccomp.status == 127);
  CHECK_THAT(no_seccomp.err, ContainsSubstring("harden= by seccomp cannot be met"));
}

TEST_CASE("live: a bad option is named, the rest applies") {
  const Run result =
      run(preloaded("colour=red,backend=seccomp,verbose=1", {LIVE_PROGRAM, "refuses_changes"}));
  expect_success(result);
  CHECK_THAT(
      result.err,
      ContainsSubstring("libmseal: MSEAL_OPTIONS: colour=red is not understood; allowed: keys are backend"));
  CHECK_THAT(result.err, ContainsSubstring("libmseal: backend seccomp on Linux"));
  CHECK(count_lines(result.err) == 2);
}

TEST_CASE("live: strict=1 does not start the program with a bad option") {
  const Run result = run(preloaded("backend=nonsense,strict=1", {"/bin/echo", "never"}));
  CHECK(result.status == 127);
  CHECK(result.out == "");
  CHECK_THAT(result.err, ContainsSubstring("allowed: auto, kernel, seccomp, filter, libc"));
}

TEST_CASE("live: healthy programs hear nothing") {
  const Run result = run(preloaded("backend=seccomp", {"/bin/true"}));
  CHECK(result.out + result.err == "");
  CHECK(run({{MSEAL_SUPERVISOR}, {}, {}, 60}).status == 2);
}

}  // namespace
}  // namespace libmseal::tests
