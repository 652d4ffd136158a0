// Runs every attack under our seals and, where there is one, under the kernel's own.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rules/tree_question.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/filters.h"
#include "tests/support/folder.h"
#include "tests/support/machine.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

// What must come of an attack in one mode.
struct Expected {
  int status = 0;                  // the exit status of attack.h
  std::optional<long> answer;      // to each of its attempts; nothing: any
  const char* not_here = nullptr;  // why it is not run
};

constexpr Expected held(long answer) {
  return {0, answer, nullptr};
}
// mseal answers so and seals nothing. In a mode that can't seal what the attack wants, this is what is right.
constexpr Expected refused(std::optional<long> answer = std::nullopt) {
  return {3, answer, nullptr};
}
// What the attempts are answered depends on the machine or on who wins a race, or there is no one attempt.
constexpr Expected held() {
  return {};
}
constexpr Expected changes() {
  return {1, std::nullopt, nullptr};
}
constexpr Expected not_here(const char* why) {
  return {0, std::nullopt, why};
}
// The call waits, until its process is killed.
constexpr Expected no_answer() {
  return {2, std::nullopt, nullptr};
}

// How the program is started.
enum class Start {
  plainly,
  late,          // nothing is sealed at start: auto=off
  skips_all,     // no object is sealed at start: skip=*
  with_data,     // static data is sealed at start, too: auto=data
  by_shell,      // no preload reaches it: started by a shell that one does reach
  few_files,     // under a low limit of open files, which nobody may lift
  apart_mounts,  // in a mount namespace of its own
  old_release,   // the same, and as if the kernel were an old one
  apart_pids,    // in a pid namespace of its own, with the /proc of the one outside, where it has our number
  own_pids,      // in a pid namespace of its own, for which it may choose numbers
  own_segments,  // in an IPC namespace of its own; auto=off
  own_time,      // in a time namespace, where the machine seems to have run for a day longer
  hidden_processes,       // /proc shows a process only to those that may trace it
  other_user,             // by an ordinary user: the supervisor of root may look into everything
  not_readable,           // by such a user, who may execute the program and not read it
  not_readable_by_shell,  // the same, by a shell that the library reaches, too
  // Under a filter of its parent, which knows a call that the library makes and answers it falsely:
  late_in_pretended_tree,    // that there is a sealed tree; auto=off
  ptrace_refused_for_probe,  // that ptrace is refused
  unshare_pretended,         // that the memory is not shared
};

constexpr bool is_late(Start start) {
  return start == Start::late || start == Start::late_in_pretended_tree || start == Start::own_segments;
}

constexpr bool is_not_readable(Start start) {
  return start == Start::not_readable || start == Start::not_readable_by_shell;
}

constexpr std::string_view kRefusedCalls[] = {"userfaultfd", "io_uring", "process_madvise",
                                              "personality", "unshare",  "mount"};

// What the attack takes that not every machine has, as MSEAL_TESTS_WITHOUT calls it. `said` begins with a
// system call that a container refuses.
constexpr std::string_view feature_of(std::string_view name, std::string_view said) {
  for (const std::string_view call : kRefusedCalls)
    if (said.starts_with(call)) return call;
  if (name.starts_with("i386_")) return "i386";
  if (name == "x32_stalled") return "x32";
  if (name == "tagged_before_seal") return "lam";
  if (name == "aio_ring_of_many") return "processors";
  return "";
}

struct Attack {
  const char* name;
  Expected supervised = held(-EPERM);
  Expected all = held(-EPERM);  // coverage=all
  Expected filters = held(-EPERM);
  Expected kernel = held(-EPERM);
  Start start = Start::plainly;
};

// The same everywhere.
constexpr Attack everywhere(const char* name, const Expected& expected, Start start = Start::plainly) {
  return {name, expected, expected, expected, expected, start};
}
// Ours refuse by one answer, and the kernel gives another.
constexpr Attack ours(const char* name, const Expected& expected, const Expected& kernel,
                      Start start = Start::plainly) {
  return {name, expected, expected, expected, kernel, start};
}

constexpr Expected kNoRings = not_here("io_setup is refused where there is no supervisor");
constexpr Expected kNoHugePages = not_here("without a supervisor there are no huge pages");
constexpr Expected kOldBreak = held();  // brk answers where the break is
constexpr Expected kNoSealedArea = not_here("mseal(2) has no addresses where all is sealed");
constexpr Expected kNoTypes = not_here("mseal(2) has no types");
constexpr Expected kNotServed = not_here("raw mseal(2) is served under coverage=all alone");
// The program's own text, while the supervisor is stopped.
constexpr Expected kOfStopped = kTextIsWatched ? no_answer() : held(-EPERM);

constexpr Attack kAttacks[] = {
    ours("grows_down", held(-EPERM), held(0)),
    ours("grows_down_raced", held(-EPERM), held(0)),

    everywhere("huge_page_by_flag", held(-EPERM)),
    ours("huge_page_by_file", held(-ENOSYS), held(-EPERM)),
    everywhere("huge_page_moved", held(-EPERM)),
    ours("huge_pages_among_several", held(-EPERM), held()),  // the kernel has moved one by the second attempt
    ours("huge_pages_before_seal", held(-EPERM), held(), Start::late),
    everywhere("huge_page_shrunk", held(-EPERM)),
    everywhere("huge_page_shrunk_before_seal", held(-EPERM), Start::late),
    everywhere("huge_page_made_meanwhile", held(-EPERM)),
    everywhere("huge_segment_zero", held(-EPERM), Start::own_segments),
    everywhere("library_behind_huge_page", held()),
    ours("huge_page_file_moved", held(-ENOSYS), held(-EPERM)),
    {"huge_page_part_sealed", refused(-EINVAL), refused(-EINVAL), kNoHugePages, refused(-EINVAL)},
    ours("huge_page_swapped", held(-ENOSYS), held()),
    // Without a supervisor nobody sees what the file is.
    {"huge_page_mounted", held(-EPERM), held(-EPERM), changes(), held(-EPERM)},
    {"huge_page_unseen", held(-EPERM), held(-EPERM), changes(), held(-EPERM), Start::apart_mounts},
    // EFAULT before Linux 6.17.
    {"huge_page_with_another", held(-EPERM), held(-EPERM), kNoHugePages, held(), Start::old_release},

    everywhere("segment_over", held(-EPERM)),
    {"segment_over_huge", held(-EPERM), held(-EPERM), kNoHugePages, held(-EPERM)},
    everywhere("segment_of_another_namespace", held(-EPERM)),
    everywhere("segment_detached", held(0)),
    everywhere("segments_joined", held(0)),
    everywhere("segment_at_page_zero", held(0)),
    everywhere("segment_decoy", held(0)),
    everywhere("segment_among_many", held(0)),

    ours("sealed_area_wrapped", held(-EPERM), kNoSealedArea),
    ours("sealed_area_hinted", held(-EPERM), kNoSealedArea),

    everywhere("file_pages_remapped", held(-EPERM)),
    everywhere("file_pages_rounded", held(-EPERM)),

    // The kernel answers io_destroy with 0 and keeps the page.
    {"aio_ring_destroyed", held(-EPERM), held(-EPERM), kNoRings, held(0)},
    {"aio_ring_aimed", held(-EPERM), held(-EPERM), kNoRings, held(0)},
    {"aio_ring_replaced", held(-EPERM), held(-EPERM), kNoRings, held(0)},
    {"aio_ring_tail", held(-EPERM), held(-EPERM), kNoRings, held(0)},
    {"aio_ring_wrapped", held(-EPERM), held(-EPERM), kNoRings, held(0)},
    {"aio_ring_of_many", held(-EPERM), held(-EPERM), kNoRings, held(0), Start::apart_mounts},

    ours("heap_over_file", held(0), kOldBreak),
    ours("heap_without_start", held(0), kOldBreak),
    ours("heap_start_over_mapped", held(0), kOldBreak),
    ours("heap_in_hole", held(0), kOldBreak),
    ours("heap_moved", held(), held()),

    ours("process_madvise_self", held(-EINVAL), held(-EPERM)),
    ours("io_uring_madvise", held(-ENOSYS), held(-EPERM)),
    ours("io_uring_before_seal", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("io_uring_of_thread", refused(-EAGAIN), held(), Start::late),
    ours("process_madvise_stalled", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("uselib_over", held(-ENOSYS), held()),
#ifdef __x86_64__
    everywhere("i386_calls", held(-EPERM)),
    everywhere("i386_across_4g", held(-EPERM)),
    everywhere("i386_upper_halves", held(-EPERM)),
    everywhere("i386_huge_page_shrunk", held(-EPERM)),
    ours("i386_break", held(0), kOldBreak),
    ours("i386_segments", held(), held()),  // refused to attach, and answered 0 for what is not detached
    everywhere("i386_segment_detached", held()),  // with garbage it is not allowed to try
    {"i386_ring", held(-EPERM), held(-EPERM), kNoRings, held(0)},
    {"i386_clone", refused(-EAGAIN), held(-EPERM), refused(-EAGAIN), held(-EPERM)},
    ours("i386_uselib", held(-ENOSYS), held()),
    everywhere("x32_numbers", held(-ENOSYS)),
    ours("x32_stalled", refused(-EAGAIN), held(), Start::late),
    everywhere("skipped_call", held()),
    ours("i386_wide_stalled", held(-EPERM), held()),
    ours("i386_early_stalled", refused(-EAGAIN), held()),
    ours("i386_early_stalled_in_tree", held(-EPERM), held(), Start::by_shell),
    {"parked_by_tracer", refused(-EAGAIN), refused(-EAGAIN), refused(-EAGAIN), held(-EPERM), Start::late},
#endif
    everywhere("upper_halves", held(-EPERM)),
    everywhere("tagged_addresses", held()),  // EINVAL where the processor has no tags
    everywhere("tagged_before_seal", held(-EPERM), Start::late),

    everywhere("new_identity", held(-EPERM)),
    everywhere("not_dumpable", held(-EPERM), Start::other_user),
    everywhere("execute_only", held(-EPERM), Start::not_readable),
    everywhere("execute_only_joins", held(-EPERM), Start::not_readable_by_shell),
    everywhere("other_namespaces", held(-EPERM)),
    everywhere("no_proc", held(-EPERM)),
    everywhere("proc_covered", held(-EPERM), Start::apart_mounts),
    everywhere("proc_stat_covered", held(-EPERM), Start::apart_mounts),
    everywhere("proc_of_others", held(-EPERM), Start::apart_pids),
    // The library, or the supervisor, looks at files that are covered, and takes them for nothing.
    {"proc_of_children", held(-EPERM), held(-EPERM), refused(), held(-EPERM), Start::apart_mounts},
    {"proc_maps_covered", refused(-EAGAIN), refused(-EAGAIN), refused(), held(-EPERM), Start::apart_mounts},
    everywhere("reused_pid", held(), Start::own_pids),
    everywhere("forgotten_without_leader", held(-EPERM)),
    everywhere("leaders_without_memory", held(-EPERM)),
    everywhere("forgotten_among_forks", held(-EPERM)),
    everywhere("forgotten_few_files", held(-EPERM), Start::few_files),
    everywhere("forgotten_by_limit", held(-EPERM)),
    everywhere("forgotten_unborn", held(-EPERM)),
    everywhere("table_shadowed", held()),
    everywhere("forgotten_relay", held(-EPERM)),
    everywhere("forgotten_thread_relay", held(-EPERM)),
    everywhere("forgotten_hidden", held(-EPERM), Start::hidden_processes),
    everywhere("seal_without_leader", held(-EPERM)),
    everywhere("forged_message", held(-EPERM)),
    ours("forged_heap_message", held(0), kOldBreak),
    ours("types_widened", held(-EPERM), kNoTypes),
    everywhere("lost_on_fork", held(-EPERM)),
    everywhere("hole_of_fork", held(), Start::with_data),
    everywhere("executed_again", held(), Start::late),
    everywhere("greeted_meanwhile", held()),
    everywhere("born_of_sibling", held(-EPERM)),
    everywhere("born_in_time_namespace", held(-EPERM), Start::own_time),
    everywhere("born_of_the_dead", held(-EPERM)),
    everywhere("threads_being_born", held()),
    everywhere("woken_between", held()),
    ours("thread_list_cut", refused(-EAGAIN), held(-EPERM)),
    ours("thread_list_cut_by_stop", refused(-EAGAIN), held(-EPERM)),

    // A filter does not reach them: mseal promises nothing while they live.
    {"sibling_process", refused(-EAGAIN), held(-EPERM), refused(-EAGAIN), held(-EPERM)},
    {"sharer_of_parent", refused(-EAGAIN), held(-EPERM), refused(-EAGAIN), held(-EPERM)},
    {"own_clock", refused(-EAGAIN), held(-EPERM), refused(-EAGAIN), held(-EPERM)},
    // The filter would answer for the kernel, too.
    {"pretended_success", held(), held(), held(), not_here("under the kernel's own seals mseal is its call")},
    {"pretended_filter", refused(), held(-EPERM), refused(), held(-EPERM)},
    {"sharer_orphaned", refused(-EAGAIN), held(-EPERM), refused(-EAGAIN), held(-EPERM)},
    {"sharer_without_leader", refused(-EAGAIN), held(-EPERM), refused(-EAGAIN), held(-EPERM)},
    ours("sharer_not_dumpable", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("sharer_with_moving_peak", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("sharer_outside", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("sharer_of_other_user", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("window_hinted_beside_sharer", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("own_filter_for_first", refused(-EAGAIN), held(-EPERM), Start::late),
    // In a tree, the kernel is not asked.
    everywhere("sharer_outside_of_no_tree", refused(-EAGAIN), Start::late_in_pretended_tree),
    ours("pretended_no_sharer", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("pretended_thread_list", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("pretended_thread_end", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("pretended_empty_file", refused(-EAGAIN), held(-EPERM), Start::late),
    everywhere("adopted_after_late_start", held(-EPERM), Start::late),
    ours("started_by_sharer", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("loaded_by_sharer", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("loaded_by_outer_sharer", refused(-EAGAIN), held(-EPERM), Start::late),
    {"loaded_by_sharer_in_tree", refused(-EAGAIN), held(-EPERM), refused(-EAGAIN), held(-EPERM)},
    {"loaded_after_alone", refused(-EAGAIN), held(-EPERM), refused(-EAGAIN), held(-EPERM)},
    ours("loaded_twice_by_sharer", refused(-EAGAIN), held(-EPERM), Start::late),
    ours("born_beside_sharer", refused(-EAGAIN), held(-EPERM), Start::late),
    {"sealed_by_sharer", refused(-EAGAIN), held(), refused(-EAGAIN), held(-EPERM)},
    {"heap_sealed_by_sharer", refused(-EAGAIN), refused(-EAGAIN), refused(-EAGAIN), held()},
    everywhere("sharer_raced", held()),
    {"sharer_relay", refused(-EAGAIN), held(), refused(-EAGAIN), held()},
    // A constructor has made what they use, before libmseal starts. In a tree, that is refused or seen.
    ours("early_sharer", refused(-EAGAIN), held(-EPERM)),
    ours("early_sharer_pretended", refused(-EAGAIN), held(-EPERM), Start::unshare_pretended),
    {"early_sharer_meanwhile", refused(-EAGAIN), refused(-EAGAIN), held(-EPERM), held(-EPERM)},
    ours("early_sharer_born", refused(-EAGAIN), held(-EPERM), Start::skips_all),
    {"early_sharer_in_tree", refused(), held(-EPERM), refused(), held(-EPERM), Start::by_shell},
    ours("early_io_uring", refused(-EAGAIN), held(-EPERM)),
    ours("early_io_uring_skips_all", refused(-EAGAIN), held(-EPERM), Start::skips_all),
    ours("early_io_uring_unmapped", refused(-EAGAIN), held()),  // nobody learns what the ring was answered
    ours("early_io_uring_in_tree", held(-ENOSYS), held(-EPERM), Start::by_shell),
    ours("early_aio_ring", held(-EPERM), held(0)),
    {"early_aio_ring_in_tree", held(-EPERM), held(-EPERM), kNoRings, held(0), Start::by_shell},
    {"io_setup_stalled", refused(-EAGAIN), refused(-EAGAIN), kNoRings, held()},
    everywhere("io_setup_fails", held()),

    ours("own_listener", held(-EBUSY), held(-EPERM)),
    everywhere("supervisor_killed", held(-EPERM)),
    ours("sharer_without_supervisor", refused(-EAGAIN), held(-EPERM)),
    {"supervisor_stopped", kOfStopped, kOfStopped, held(-EPERM), held(-EPERM)},
    everywhere("own_filters", held(-EPERM)),

    {"static_seal_without_leader", kNotServed, held(-EPERM), kNotServed, held(-EPERM), Start::by_shell},
    {"static_call_under_way", kNotServed, held(), kNotServed, held(), Start::by_shell},
    {"raw_mseal_repeated", kNotServed, refused(-EAGAIN), kNotServed, held(-EPERM)},
    {"raw_mseal_forged", kNotServed, refused(-EAGAIN), kNotServed, held(-EPERM)},
    // No filter can refuse brk there, and no brk is notified: mseal promises nothing.
    {"static_heap_start_over_mapped", kNotServed, refused(-EAGAIN), kNotServed, kOldBreak, Start::by_shell},
    {"static_large_heap", kNotServed, refused(-EAGAIN), kNotServed, kOldBreak, Start::by_shell},
    {"static_heap_executed_again", kNotServed, refused(-EAGAIN), kNotServed, kOldBreak, Start::by_shell},

    // outside what sealing promises: no mapping is changed
    everywhere("proc_mem_write", changes()),
    everywhere("task_mem_write", changes()),
    everywhere("reopened_mem", changes()),
    everywhere("process_vm_write", changes()),
    everywhere("traced_write", changes()),
    everywhere("user_fault", changes()),
};

constexpr int kHeld = 0;
constexpr int kBroken = 1;
constexpr int kNothingSealed = 3;
constexpr int kCannotTry = 77;

constexpr const char* kFewFiles =
    "ulimit -n 135; test $(id -u) != 0 || exec setpriv --bounding-set=-sys_resource \"$@\"; exec \"$@\"";

// What the library seals at start would be refused by a filter at random addresses.
constexpr const char* kUnderOurNumber =
    "echo $1 > /proc/sys/kernel/ns_last_pid; shift; setarch -R \"$@\"; exit $?";

// The first process there, which hides nothing, is the program.
constexpr const char* kHidden =
    "mount -t proc -o hidepid=2 proc /proc; exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";

// Runs a program behind others, which are not under the library.
std::vector<std::string> behind(Start start) {
  std::vector<std::string> by_other_user;
  if (::geteuid() == 0) by_other_user = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
  switch (start) {
    case Start::few_files:
      return {"sh", "-c", kFewFiles, "sh"};
    case Start::apart_mounts:
      return {"unshare", "--mount"};
    case Start::old_release:
      return {"unshare", "--mount", "setarch", "--uname-2.6"};
    case Start::apart_pids:
      return {"unshare", "--pid",         "--fork", "sh",
              "-c",      kUnderOurNumber, "sh",     std::to_string(::getpid() - 1)};
    case Start::own_pids:
      return {"unshare", "--mount-proc", "--pid", "--fork", "sh", "-c", "\"$@\"; exit $?", "sh"};
    case Start::own_segments:
      return {"unshare", "--ipc"};
    case Start::own_time:
      return {"unshare", "--time", "--boottime", "86400", "--fork", "sh", "-c", "\"$@\"; exit $?", "sh"};
    case Start::hidden_processes:
      return {"unshare", "--mount", "--pid", "--fork", "sh", "-c", kHidden, "sh"};
    case Start::other_user:
    case Start::not_readable:
    case Start::not_readable_by_shell:
      return by_other_user;
    default:
      return {};
  }
}

bool can_start(Start start) {
  std::vector<std::string> arguments = behind(start);
  if (arguments.empty()) return true;
  // Also whether another user finds the library at all.
  arguments.insert(arguments.end(), {"test", "-r", LIBMSEAL_SO});
  const Run started = run({arguments, {}, {}, 60});
  return needs(started.status == 0, "root, to start a program by " + arguments.front() + ": " + started.err,
               arguments.front());
}

// A filter that answers one call, of which it knows an argument too, with an error.
void answer_call(std::uint32_t number, std::uint32_t argument, std::uint32_t value, int error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
               static_cast<std::uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t))),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  if (install_filter(code) != 0) ::_exit(125);
}

// The filter of a program's parent.
std::function<void()> filter_for(Start start) {
  if (start == Start::late_in_pretended_tree)
    return [] { answer_call(__NR_mmap, 3, policy::kTreeQuestion, policy::kInTree); };
  if (start == Start::unshare_pretended)
    return [] { answer_call(__NR_unshare, 0, CLONE_VM | CLONE_FILES, 0); };
  if (start == Start::ptrace_refused_for_probe) return [] { answer_call(__NR_ptrace, 1, 0xFFFFFFFF, EPERM); };
  return {};
}

// `folder`: for its log, and the program where that must be a copy.
Command command_for(const char* name, Start start, const Folder& folder,
                    const std::map<std::string, std::string>& environment) {
  std::string program = std::string(ATTACKS) + "/" + name;
  if (is_not_readable(start)) {
    const std::string copy = folder.file(name);
    std::filesystem::copy_file(program, copy);
    using std::filesystem::perms;
    std::filesystem::permissions(copy, perms::owner_exec | perms::group_exec | perms::others_exec);
    program = copy;
  }
  std::vector<std::string> arguments = behind(start);
  arguments.emplace_back("env");
  for (const auto& [key, value] : environment) arguments.push_back(key + "=" + value);
  if (start == Start::by_shell || start == Start::not_readable_by_shell)
    arguments.insert(arguments.end(), {"sh", "-c", "\"$@\"; exit $?", "sh"});
  arguments.insert(arguments.end(), {program, folder.file("log")});
  return {arguments, {}, filter_for(start), 120};
}

// Every "answered N" of the program.
std::vector<long> answers_in(const std::string& text) {
  static const std::regex answered("answered (-?[0-9]+)");
  std::vector<long> answers;
  for (std::sregex_iterator at(text.begin(), text.end(), answered); at != std::sregex_iterator(); ++at) {
    answers.push_back(std::stol((*at)[1]));
  }
  return answers;
}

// Whether it is refused where there is nothing of libmseal: by the kernel or a container's profile.
bool is_refused_by_others(const Run& unsealed) {
  const std::vector<long> answers = answers_in(unsealed.out);
  return std::ranges::any_of(answers, [](long answer) { return answer == -EPERM || answer == -ENOSYS; });
}

// What the attack does to the supervisor, and says so when it has found one.
constexpr std::string_view fate_of_supervisor(std::string_view name) {
  if (name == "own_listener" || name == "supervisor_killed" || name == "sharer_without_supervisor")
    return "killed";
  return name == "supervisor_stopped" ? "stopped" : "";
}

void attack(const char* name, Start start, const std::string& options, const Expected& expected) {
  DYNAMIC_SECTION(name << " under " << options) {
    if (expected.not_here != nullptr) {
      WARN(name << " is not run: " << expected.not_here);
      return;
    }
    if (!can_start(start)) return;
    if (std::string_view(name).starts_with("static_") && !needs_mseal_to_be_notified()) return;
    const Folder folder;
    const char* const sealed_at_start = is_late(start)              ? ",auto=off"
                                        : start == Start::with_data ? ",auto=data"
                                        : start == Start::skips_all ? ",skip=*"
                                                                    : "";
    // A backend that is only a substitute leaves objects at fixed addresses unsealed, unless it is required.
    const char* const required =
        start == Start::apart_pids && options.starts_with("backend=supervised") ? ",require=filters" : "";
    const std::string all = options + sealed_at_start + required + ",log=" + folder.file("log");
    const Run result =
        run(command_for(name, start, folder, {{"LD_PRELOAD", LIBMSEAL_SO}, {"MSEAL_OPTIONS", all}}));
    INFO(result.out << result.err);
    const std::string_view fate = fate_of_supervisor(name);
    if (!fate.empty() && options.starts_with("backend=supervised")) {
      CHECK_THAT(result.out, ContainsSubstring("the supervisor is " + std::string(fate)));
    }
    const bool tried = !result.exited ||
                       needs(result.status != kCannotTry, std::string(name) + ": " + result.out + result.err,
                             feature_of(name, result.out));
    if (!tried) return;
    // A program that was killed otherwise has shown nothing.
    REQUIRE(result.exited);
    // Where the supervisor decides, it may seal what no filter can, or refuse to.
    const bool decides = kTextIsWatched && options.find("supervised") != std::string::npos;
    const auto seen = [&](int status) { return decides && status == kNothingSealed ? kHeld : status; };
    // Where the supervisor can't tell who shares memory, mseal promises nothing.
    const bool may_be_shared = result.err.find("or may share it") != std::string::npos;
    if (result.status == kNothingSealed && may_be_shared && expected.status == kHeld && !needs_kcmp()) return;
    // What seals do not prevent may be refused here anyway.
    const bool is_let_through = expected.status == kBroken || std::string_view(name) == "skipped_call";
    if (is_let_through && result.status != expected.status) {
      const Run unsealed = run(command_for(name, start, folder, {{"LD_PRELOAD", NO_SEAL_SO}}));
      const bool same = unsealed.exited && unsealed.status == result.status;
      if (!needs(!same, std::string(name) + ", which fails without libmseal, too: " + unsealed.out)) return;
    }
    CHECK(seen(result.status) == seen(expected.status));
    if (!expected.answer || kTextIsWatched) return;
    const std::vector<long> answers = answers_in(result.out);
    CHECK_FALSE(answers.empty());
    for (const long answer : answers) CHECK(answer == *expected.answer);
  }
}

TEST_CASE("attack: under our seals") {
  for (const Attack& one : kAttacks) attack(one.name, one.start, "backend=supervised", one.supervised);
}

TEST_CASE("attack: when every call is reported") {
  for (const Attack& one : kAttacks) attack(one.name, one.start, "backend=supervised,coverage=all", one.all);
}

TEST_CASE("attack: without a supervisor, on deny filters alone") {
  for (const Attack& one : kAttacks) attack(one.name, one.start, "backend=filters", one.filters);
}

TEST_CASE("attack: what harden= refuses") {
  std::vector<std::string> backends{"supervised", "filters"};
  if (::syscall(462, 0, 0, 0) == 0) backends.emplace_back("kernel");
  for (const std::string& backend : backends) {
    const std::string options = "harden=ptrace+process_vm_writev+userfaultfd,backend=" + backend;
    for (const char* name : {"process_vm_write", "traced_write", "user_fault"})
      attack(name, Start::plainly, options, held(-EPERM));
    if (!needs_landlock()) continue;
    for (const char* name : {"proc_mem_write", "task_mem_write", "reopened_mem"})
      attack(name, Start::plainly, "harden=proc_mem,backend=" + backend, held());
  }
}

TEST_CASE("attack: harden=ptrace beside a filter that refuses ptrace of nobody") {
  attack("traced_write", Start::ptrace_refused_for_probe, "harden=ptrace,backend=supervised", held(-EPERM));
}

TEST_CASE("attack: root can rob the supervisor of its listener, unless hardened") {
  if (!needs(::geteuid() == 0, "root")) return;
  if (needs_ptrace_capability()) attack("listener_stolen", Start::plainly, "backend=supervised", changes());
  attack("listener_stolen", Start::plainly, "harden=ptrace,backend=supervised", held());
}

TEST_CASE("attack: under the kernel's own seals") {
  if (!needs_mseal()) return;
  for (const Attack& one : kAttacks) attack(one.name, one.start, "backend=kernel", one.kernel);
}

// Why an attack does not show its force on a page that nobody sealed.
std::string_view reason_unsealed(std::string_view name) {
  if (name.starts_with("static_") || name.starts_with("raw_mseal_"))
    return "its seals are the kernel's or nobody's: no preload reaches it";
  if (name == "skipped_call") return "it is no attack";
  if (name == "reused_pid" || name == "threads_being_born") return "it needs mseal to do something";
  if (name.starts_with("sealed_area_") || name == "born_beside_sharer" || name == "early_sharer_born")
    return "it needs PROT_SEAL";
  if (name == "table_shadowed") return "there is no table of seals without a supervisor";
  if (name == "own_listener") return "it would take its own text away";
  if (name == "x32_numbers") return "few kernels have the x32 ABI";
  if (name == "tagged_addresses") return "few processors ignore tags";
  const bool moves_huge_page = name.starts_with("huge_page_") && name.ends_with("moved");
  const bool shrinks_huge_page = name.find("huge_page_shrunk") != std::string_view::npos ||
                                 name == "library_behind_huge_page" || name == "huge_page_made_meanwhile" ||
                                 name == "huge_segment_zero";
  if ((moves_huge_page || shrinks_huge_page || name == "huge_page_part_sealed") && older_than(5, 16))
    return "huge pages can't be moved before Linux 5.16";
  if (name == "huge_page_with_another" && older_than(6, 17))
    return "several mappings are not moved at once before Linux 6.17";
  if (name.starts_with("huge_pages_") && older_than(6, 17))
    return "several mappings can't be moved at once before Linux 6.17";
  if (name.starts_with("process_madvise_") && older_than(6, 13))
    return "process_madvise(2) does not discard before Linux 6.13";
  if (name == "uselib_over" || name == "i386_uselib") return "few kernels have uselib(2)";
  return "";
}

// The attacks are real: without any seal they do change their victims.
TEST_CASE("attack: a page that nobody sealed is changed by them") {
  for (const Attack& one : kAttacks) {
    DYNAMIC_SECTION(one.name) {
      if (const std::string_view why = reason_unsealed(one.name); !why.empty()) {
        WARN(one.name << " is not run: " << why);
        continue;
      }
      if (!can_start(one.start)) continue;
      const Folder folder;
      const Command command = command_for(one.name, one.start, folder, {{"LD_PRELOAD", NO_SEAL_SO}});
      constexpr int kTries = 20;  // some race for two seconds, and lose on a busy machine
      Run result = run(command);
      for (int tries = 1; tries < kTries && result.status == kHeld; ++tries) result = run(command);
      INFO(result.out << result.err);
      REQUIRE(result.exited);
      if (!needs(result.status != kCannotTry && (result.status != kHeld || !is_refused_by_others(result)),
                 std::string(one.name) + ": " + result.out, feature_of(one.name, result.out)))
        continue;
      CHECK(result.status == 1);
    }
  }
}

}  // namespace
}  // namespace libmseal::tests
