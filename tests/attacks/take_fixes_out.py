#!/usr/bin/env python3
"""Takes the fix of each known hole out, one at a time, and shows which attacks on that hole get through then.

A table of attacks that all fail proves little if they would fail anyway. This builds a copy of the sources once as it is
and once without each fix, and runs the attacks that the fix is there for: they must fail in the one and get through in
the other. One that is HELD all the same has another defence as well, or this file takes the wrong thing out; one with another
answer than expected has changed nothing. It takes half an hour and is not part of CI.

    tests/attacks/take_fixes_out.py                 all of them
    tests/attacks/take_fixes_out.py --find          none: only sees whether every fix is where this file says
    tests/attacks/take_fixes_out.py brk io_destroy  those whose name has one of these words in it
    tests/attacks/take_fixes_out.py --by "tests/stock-kernel/boot.py --kernel 6.1 --" i386
                                                    on another kernel, which this one does not have the calls for

Exit status: 0 if every attack got through without its fix, or can't be tried here; 1 if one did not; 2 if the sources have
changed and a fix is no longer where this file says.
"""
import argparse
import contextlib
import filecmp
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

SOURCE = pathlib.Path(__file__).resolve().parents[2]

SUPERVISED = ("attack: under our seals", "backend=supervised")
ALL = ("attack: when every call is reported", "backend=supervised,coverage=all")
FILTERS = ("attack: without a supervisor*", "backend=filters")


@dataclass
class Hole:
    name: str
    file: str
    fix: str  # the text in the file
    without: str  # what stands there without the fix
    attacks: dict = field(default_factory=dict)  # a mode: names of attacks
    tries: int = 1  # of an attack that has to win a race
    also: tuple = ()  # what else holds these attacks: (file, fix, without)

    def edits(self):
        return ((self.file, self.fix, self.without), *self.also)


# Other defences, which hold some of the attacks as well.
REFUSES_WIDE_I386 = ("shim/preload/filters/first_filter.cpp",
                     "audits ? std::nullopt : std::optional(policy::kActionRefuse)", "std::nullopt")
CHECKS_WHAT_IS_REPORTED = ("shim/supervisor/sealing/sealer.cpp",
                           "  if (!covered || read_mappings(caller, job, now) != 0) return false;\n",
                           "  if (covered || read_mappings(caller, job, now) != 0) return covered;\n")
KEEPS_OWN_ACCOUNT = ("shim/supervisor/sealing/sealer.cpp",
                     "return audits_ || (is_watched(", "return audits_ || entry.filtered || (is_watched(")
# A list with a new process in it is not the last one.
LISTS_PROCESSES_AGAIN = ("shim/supervisor/registry/identification.cpp", "      more = true;\n", "")
LOOKS_FOR_SHARERS_OF_HELD = ("shim/supervisor/sealing/inspected_requests.cpp",
                             "still != sharing || (cloning && (!watched || job.is_alone))", "cloning && !watched")
LOOKS_FOR_SHARERS_AGAIN = ("shim/supervisor/sealing/inspected_requests.cpp",
                           "  if (sharing != Sharing::alone) return -EAGAIN;\n", "")

HOLES = [
    Hole("i386: the filters read all of a register",
         "policy/bpf/range_program.cpp",
         "range_.set_short_arguments(abi.has_short_arguments());", "range_.set_short_arguments(false);",
         {SUPERVISED: ["i386_upper_halves"], FILTERS: ["i386_upper_halves"]}, also=(REFUSES_WIDE_I386,)),
    Hole("i386: the supervisor reads all of a register",
         "policy/rules/mm_call.cpp",
         "argument &= abi.argument_mask;", "argument &= ~0ULL;",
         {ALL: ["i386_upper_halves"]}, also=(REFUSES_WIDE_I386,)),
    Hole("i386: brk is let through",
         "policy/rules/verdict.cpp",
         "    if (end > floor && end > refused.end) refused = {floor, end};", "    (void)end;",
         {SUPERVISED: ["i386_break"]}),
    Hole("huge pages: the target of mremap is not rounded up",
         "policy/rules/mm_call.cpp",
         "call.ranges[1] = rounded_to_huge_pages(target, machine.huge_page_at(target.start));",
         "call.ranges[1] = target;\n  return;",
         {SUPERVISED: ["huge_page_moved"], ALL: ["huge_page_moved"]}),
    Hole("huge pages: sizes of mremap that differ by less than a page count as different",
         "policy/rules/mm_call.cpp",
         "round_up(arguments[1], machine.page_size) == round_up(arguments[2], machine.page_size)",
         "arguments[1] == arguments[2]",
         {SUPERVISED: ["huge_pages_among_several"], ALL: ["huge_pages_among_several"]}),
    Hole("huge pages: nobody looks at what mremap moves",
         "shim/supervisor/judge.cpp",
         "allow_if(moves_no_huge_pages(call, caller, registry))",
         "allow_if(true)",
         {SUPERVISED: ["huge_page_mounted"]}),
    Hole("huge pages: another thread may map them before mremap begins",
         "shim/supervisor/judge.cpp",
         "is_only_thread(proc_, caller) && registry.register_sharers(caller) == shim::Sharing::alone &&", "(void(registry), true) &&",
         {SUPERVISED: ["huge_page_made_meanwhile"], ALL: ["huge_page_made_meanwhile"]}),
    Hole("huge pages: a segment with the ID 0 counts as memory without a file",
         "policy/rules/seal_request.cpp",
         "vma.inode != 0 || !vma.anonymous()", "vma.inode != 0",
         {SUPERVISED: ["huge_segment_zero"], ALL: ["huge_segment_zero"]}),
    Hole("rings: the number of places does not wrap around as the kernel's does",
         "shim/supervisor/sealing/aio_rings.cpp",
         "const std::uint32_t places = 2 * std::max(events, 4 * processors);",
         "const std::uint64_t places = 2 * std::uint64_t{std::max(events, 4 * processors)};",
         {SUPERVISED: ["aio_ring_wrapped"], ALL: ["aio_ring_wrapped"]}),
    Hole("segments: a page that is joined of two keeps one attachment",
         "policy/rules/seal.h",
         "return other.attachment == kNotAttached ? attachment : kSeveralAttachments;", "return attachment;",
         {SUPERVISED: ["segments_joined"], ALL: ["segments_joined"]}),
    Hole("huge pages: a part of one is sealed",
         "shim/common/pieces.h",
         "if (part == vma.range || ", "if (part.start != 0 || part == vma.range || ",
         {SUPERVISED: ["huge_page_part_sealed"], ALL: ["huge_page_part_sealed"]}),
    Hole("huge pages: a mapping by flag is not rounded up",
         "policy/rules/mm_call.cpp",
         "call.ranges[0] = hugetlb ? huge : range;", "call.ranges[0] = range;",
         {SUPERVISED: ["huge_page_by_flag"], ALL: ["huge_page_by_flag"]}),
    Hole("huge pages: what file a descriptor is is asked of whatever lies at /proc",
         "shim/supervisor/processes/proc.cpp",
         'const long folder = root_.open(ProcPath(task, "fd"), O_PATH | O_DIRECTORY);',
         'const std::string path = std::string("/proc/") + ProcPath(task, "fd").text();\n'
         "      const long folder = ::open(path.c_str(), O_PATH | O_DIRECTORY);",
         {SUPERVISED: ["huge_page_unseen"], ALL: ["huge_page_unseen"]},
         also=(("shim/supervisor/processes/proc.cpp",
                "      if (shim::failed(folder)) return folder == -ENOENT ? -ESRCH : folder;",
                "      if (shim::failed(folder)) return -errno;"),)),
    Hole("huge pages: one is not thought to be moved with another mapping",
         "shim/supervisor/judge.cpp",
         "if (!call.makes_huge_pages) return;", "if (!call.makes_huge_pages || call.huge_page == 0) return;",
         {SUPERVISED: ["huge_page_with_another"], ALL: ["huge_page_with_another"]},
         also=(("shim/supervisor/judge.cpp", "allow_if(moves_no_huge_pages(call, caller, registry))", "allow_if(true)"),)),
    Hole("segments: SHM_REMAP is let through",
         "policy/bpf/range_program.cpp",
         "const Label remap = returning(unjudgeable().shm_remap);", "const Label remap = other_;",
         {SUPERVISED: ["segment_over", "segment_over_huge", "segment_of_another_namespace"], FILTERS: ["segment_over"]}),
    Hole("segments: shmdt is let through by the supervisor",
         "policy/rules/verdict.cpp",
         "return seal.may_be_attached_at(call.argument);", "return seal.attachment == 1;",
         {SUPERVISED: ["segment_detached", "segment_decoy"], ALL: ["segment_detached", "segment_decoy"]}),
    Hole("segments: shmdt is let through by the filters",
         "policy/bpf/range_program.cpp",
         "    if (!decides()) return delegated_;\n    Label next = other_;\n    for (const std::uint64_t attachment",
         "    return other_;\n    Label next = other_;\n    for (const std::uint64_t attachment",
         {FILTERS: ["segment_detached", "segment_decoy"]}),
    Hole("PROT_SEAL: what does not fit moves the next place all the same",
         "shim/preload/memory/sealed_area.cpp",
         "    if (at < window.start || at > window.end || window.end - at < size) return 0;",
         "    if (at >= window.end || window.end - at < size) {\n      next += size;\n      return 0;\n    }",
         {SUPERVISED: ["sealed_area_wrapped"], FILTERS: ["sealed_area_wrapped"]}),
    Hole("segments: one filter names as many as it has room for",
         "shim/preload/filters/deny_filter.cpp",
         "if (is_new && !draft.attachments.push_back(piece.attachment)) return false;",
         "if (is_new) (void)draft.attachments.push_back(piece.attachment);",
         {FILTERS: ["segment_among_many"]}),
    Hole("the sealed area: what is placed there by a hint counts as sealed without a supervisor",
         "shim/preload/backends/filters.cpp",
         "if (local_seals_cover(state, ranges, types) && is_enough_for(state, pieces))", "if (local_seals_cover(state, ranges, types) && (!pieces.empty() || is_enough_for(state, pieces)))",
         {FILTERS: ["sealed_area_hinted"]}),
    Hole("remap_file_pages is let through",
         "policy/rules/mm_call.cpp",
         "  call.ranges[0] = {rounded, start + arguments[1]};", "  return;",
         {SUPERVISED: ["file_pages_remapped", "file_pages_rounded"], ALL: ["file_pages_remapped"]}),
    Hole("io_setup is let through",
         "policy/bpf/range_program.cpp",
         "return returning(unjudgeable().io_setup);", "return other_;",
         {SUPERVISED: ["io_setup_fails"], FILTERS: ["io_setup_fails"]}, tries=3),
    Hole("io_destroy is let through",
         "policy/bpf/range_program.cpp",
         "return returning(unjudgeable().io_destroy);", "return other_;",
         {SUPERVISED: ["aio_ring_destroyed", "aio_ring_aimed", "aio_ring_replaced", "aio_ring_tail"]}),
    Hole("io_destroy: rings are thought to be as long as one processor makes them",
         "shim/supervisor/sealing/aio_rings.cpp",
         "2 * std::max(events, 4 * processors)", "2 * std::max<std::uint64_t>(events, 4 * (processors != 0))",
         {SUPERVISED: ["aio_ring_of_many"]}),
    Hole("brk is let through",
         "policy/rules/verdict.cpp",
         "    if (end > floor && end > refused.end) refused = {floor, end};", "    (void)end;",
         {SUPERVISED: ["heap_over_file", "heap_without_start", "heap_start_over_mapped"],
          ALL: ["heap_over_file"], FILTERS: ["heap_over_file"]}),
    Hole("brk: static programs are promised their heap",
         "shim/supervisor/sealing/raw_mseal.cpp",
         "if (!job.found.refused_breaks.empty() && !sealer.audits()) {", "if (job.found.refused_breaks.size() == 1) {",
         {ALL: ["static_heap_start_over_mapped"]},
         also=(("shim/supervisor/sealing/sealer.cpp", "if (!job.found.refused_breaks.empty() && !audits_) return -EAGAIN;", ""),)),
    Hole("growing stacks: PROT_GROWSDOWN counts for its own range alone",
         "policy/rules/verdict.cpp",
         "return call.grows_down && ", "return false && ",
         {SUPERVISED: ["grows_down", "grows_down_raced"], ALL: ["grows_down"]}),
    Hole("growing stacks: the same in the filters",
         "policy/bpf/range_program.cpp",
         "if (!notifies() && !what_.unsupervised.refuse_grows_down) return searches_.given();", "if (!notifies()) return searches_.given();",
         {FILTERS: ["grows_down"]}),
    Hole("threads: a call that is blocked from the first seal on counts as none that is under way",
         "policy/parsers/syscall_line.cpp",
         "if (is_blocked(abi, number, arguments)) return Whereabouts::in_call;", "(void)is_blocked;",
         {SUPERVISED: ["process_madvise_stalled"], FILTERS: ["process_madvise_stalled"]}),
    Hole("io_uring: looked for among the descriptors of the thread that seals",
         "shim/preload/process/io_uring.cpp",
         "const bool ours = thread.id() == self;", "const bool ours = thread.id() == self;\n    if (!ours) return 0;",
         {SUPERVISED: ["io_uring_of_thread"], FILTERS: ["io_uring_of_thread"]}),
    Hole("sharers: nobody is looked for",
         "shim/common/sharers.h",
         "    if (now.none_since(since)) return Sharing::alone;", "    if (now.last != -1) return Sharing::alone;",
         {SUPERVISED: ["sibling_process", "sharer_orphaned", "sharer_without_leader"],
          FILTERS: ["sibling_process", "sharer_orphaned", "sharer_without_leader"]}),
    # Who waits in vfork is seen there, too.
    Hole("sharers: nobody is looked for, nor who waits for one",
         "shim/common/sharers.h",
         "    if (now.none_since(since)) return Sharing::alone;", "    if (now.last != -1) return Sharing::alone;",
         {SUPERVISED: ["sharer_of_parent"], FILTERS: ["sharer_of_parent"]},
         also=(("policy/parsers/syscall_line.cpp",
                "if (is_cloning(abi, number, arguments)) return Whereabouts::cloning;",
                "if (is_cloning(abi, number, arguments)) return Whereabouts::elsewhere;"),)),
    Hole("sharers: who can't be compared and runs under no filter counts as another",
         "shim/common/sharers.h",
         "return has_other_memory_(task, status) ?", "return has_other_memory_(task, status) || !status.filtered ?",
         {SUPERVISED: ["sharer_not_dumpable"], FILTERS: ["sharer_not_dumpable"]}),
    Hole("sharers: who reads a higher peak than another has another memory",
         "shim/preload/process/own_sharers.cpp",
         "least_ = raised;", "TaskStatus own;\n      (void)read_status(proc_, raw_syscall(__NR_getpid), own);\n      least_ = own.peak;",
         {SUPERVISED: ["sharer_with_moving_peak"], FILTERS: ["sharer_with_moving_peak"]}, tries=5,
         also=(("shim/preload/process/own_sharers.cpp",
                "      if (!raise_vm_peak(static_cast<std::uint64_t>(raised) * kKibibyte)) return false;\n", ""),)),
    Hole("sharers: a process that starts the library late has no older sharer",
         "shim/preload/backends/ran_before.cpp",
         "if (!own.is_fork() && boot_time_offset(proc) == 0)", "if (boot_time_offset(proc) == 0)",
         {SUPERVISED: ["loaded_by_sharer"], FILTERS: ["loaded_by_sharer"]}),
    Hole("sharers: a process that joins a tree late has no older sharer",
         "shim/supervisor/sealing/reported_requests.cpp",
         "!caller.forked && proc_.newest_id()", "proc_.newest_id()",
         {SUPERVISED: ["loaded_by_sharer_in_tree"]}),
    Hole("sharers: whoever loads the library in another pid namespace has no sharer outside",
         "shim/preload/process/pid_namespace.cpp",
         "  if (g_may_have_outer_sharer) return {NamespaceIs::of_fork, 0};\n", "",
         {SUPERVISED: ["loaded_by_outer_sharer"], FILTERS: ["loaded_by_outer_sharer"]}),
    Hole("sharers: only those of the same user are looked for",
         "shim/supervisor/processes/proc.cpp",
         "first.filtered_from_start ? only_user_ : -1;", "first.filtered_from_start ? only_user_ : only_user_;",
         {SUPERVISED: ["sharer_of_other_user"]}),
    Hole("sharers: a page in the area where everything is sealed needs nobody's look",
         "shim/preload/backends/filters.cpp",
         "  if (const long error = state.may_be_shared ? wait_until_alone(state) : 0; error != 0) return error;\n", "",
         {FILTERS: ["window_hinted_beside_sharer"]}),
    Hole("sharers: a process that was alone has none when it starts the library",
         "shim/supervisor/sealing/reported_requests.cpp",
         "  if (!caller.forked && proc_.newest_id() ==", "  if (caller.was_alone()) return Sharing::alone;\n  if (!caller.forked && proc_.newest_id() ==",
         {SUPERVISED: ["loaded_after_alone"]}),
    Hole("sharers: a second copy of the library has looked itself",
         "shim/supervisor/sealing/reported_requests.cpp",
         "if (filtered != 0 && !is_alone", "if (at_start && filtered != 0 && !is_alone",
         {SUPERVISED: ["loaded_twice_by_sharer"]}),
    Hole("sharers: without a supervisor nobody shares",
         "shim/preload/backends/supervised_sealing.cpp",
         "if (answer == -ENOSYS) return {false, explain(Why::gone)};", "if (answer == -ENOSYS) return {true, 0};",
         {SUPERVISED: ["sharer_without_supervisor"]},
         also=(("shim/preload/backends/supervised_sealing.cpp",
                "  if (answer < 0) return explain_sharing(answer);\n",
                "  if (answer < 0) return static_cast<long>(NextStep::filter);\n"),
               ("shim/preload/backends/supervised_sealing.cpp",
                "return answer == static_cast<long>(NextStep::look) ? look_for_sharers(state) : answer;", "return 0;"),
               ("shim/preload/backends/supervised_sealing.cpp",
                "if (sent != 0) return explain(sent == -ENOSYS ? Why::gone : Why::unknown);", ""))),
    Hole("sharers: who is born during the look is not looked at",
         "shim/common/sharers.h",
         "if (last == looked_until) break;", "break;",
         {SUPERVISED: ["sharer_relay"], FILTERS: ["sharer_relay"]}, tries=5,
         also=(LOOKS_FOR_SHARERS_OF_HELD, LOOKS_FOR_SHARERS_AGAIN)),
    Hole("sharers: not missed outside of the pid namespace, in a program that starts late",
         "shim/preload/sealing/start.cpp",
         "return not_needed ? 0 : check_pid_namespace();", "return not_needed ? 0 : 0;",
         {SUPERVISED: ["sharer_outside", "sharer_outside_of_no_tree"]}),
    Hole("sharers: another filter says that there is no such process",
         "shim/common/sharers.h",
         "if (compared > 0) return Sharing::alone;", "if (compared > 0 || compared == -ESRCH) return Sharing::alone;",
         {SUPERVISED: ["pretended_no_sharer"], FILTERS: ["pretended_no_sharer"]}),
    Hole("before main: a process shares the memory",
         "shim/preload/backends/ran_before.cpp",
         "if (!is_alone_for_sure()) {", "if (false) {",
         {SUPERVISED: ["early_sharer"], FILTERS: ["early_sharer"]}),
    Hole("before main: a filter pretends that no process shares the memory",
         "shim/preload/process/alone_proof.cpp",
         "return reap(child) == kIsReplaced << 8 && own.read() == kOwn;", "(void)reap(child);\n  return unshare_all() == 0;",
         {SUPERVISED: ["early_sharer_pretended"], FILTERS: ["early_sharer_pretended"]}),
    Hole("before main: a process comes to share the memory while the supervisor is started",
         "shim/preload/backends/found_tree.cpp",
         "if (!state.objects_are_unsealed) note_sealed", "note_sealed",
         {SUPERVISED: ["early_sharer_meanwhile"]}),
    Hole("before main: a process shares the memory, in a tree",
         "shim/supervisor/sealing/reported_requests.cpp",
         "sharing_at_start(caller) != Sharing::alone) return -EAGAIN;", "false) return -EAGAIN;",
         {SUPERVISED: ["early_sharer_in_tree"]}),
    Hole("before main: an io_uring",
         "shim/preload/backends/ran_before.cpp",
         "return ring != 0 ? Reason{kHasRing", "return ring == 1000 ? Reason{kHasRing",
         {SUPERVISED: ["early_io_uring"], FILTERS: ["early_io_uring"]},
         also=(("shim/preload/backends/ran_before.cpp", "if (!state.joined && look_for_io_uring", "if (state.joined && look_for_io_uring"),
               ("shim/preload/sealing/start.cpp",
                "  if (const long error = refuse_io_uring(state.options); error != 0) return error;\n", ""))),
    Hole("before main: an io_uring of which only the descriptor is left",
         "shim/preload/backends/ran_before.cpp",
         "only_by_descriptor ? look_for_io_uring_descriptor(state.options) :", "only_by_descriptor ? 0 :",
         {SUPERVISED: ["early_io_uring_unmapped"], FILTERS: ["early_io_uring_unmapped"]}),
    Hole("before main: a process shares the memory, where no object is sealed",
         "shim/preload/sealing/start.cpp",
         "  if (unseen) state.may_be_shared = state.started_late = true;\n", "",
         {SUPERVISED: ["early_sharer_born"], FILTERS: ["early_sharer_born"]}),
    Hole("before main: an io_uring, where no object is sealed",
         "shim/preload/sealing/start.cpp",
         "if (unseen || state.has_older", "if (state.has_older",
         {SUPERVISED: ["early_io_uring_skips_all"], FILTERS: ["early_io_uring_skips_all"]}),
    Hole("before main: an aio ring",
         "shim/preload/objects/loaded_objects.cpp",
         'vma.name.starts_with("/[aio]");', "false;",
         {SUPERVISED: ["early_aio_ring"]}),
    Hole("before main: a call of i386 with wide registers",
         "shim/preload/backends/ran_before.cpp",
         "threads = own.threads != 1;", "threads = false;",
         {SUPERVISED: ["i386_early_stalled"], FILTERS: ["i386_early_stalled"]}),
    Hole("threads: a list that is cut short counts as complete, in the library",
         "shim/preload/process/threads.h",
         "if (visited.are_all_of(process.threads, later)) return 0;", "return 0;",
         {SUPERVISED: ["pretended_thread_list"], FILTERS: ["thread_list_cut", "pretended_thread_list"]}),
    Hole("threads: a list that is cut short counts as complete, in the supervisor",
         "shim/supervisor/processes/proc.cpp",
         "    constexpr int kTries = 50;\n", "    constexpr int kTries = 0;\n    if (kTries == 0) return numbers_in(ProcPath(process, \"task\"));\n",
         {SUPERVISED: ["thread_list_cut_by_stop"]}, tries=5),
    Hole("threads: another filter says that one has ended, to ptrace",
         "shim/preload/process/thread_stop.cpp",
         "if (raw_syscall(__NR_ptrace, PTRACE_SEIZE, id, 0, 0) != 0) return false;",
         "if (raw_syscall(__NR_ptrace, PTRACE_SEIZE, id, 0, 0) != 0) return true;",
         {FILTERS: ["pretended_thread_end"]}),
    Hole("threads: another filter says that one has ended, to read",
         "shim/preload/process/in_flight_calls.cpp",
         "if (got == 0) return thread.has_ended();", "if (got == 0) return true;",
         {FILTERS: ["pretended_empty_file"]}),
    Hole("filters: another one says that they are in, to the supervisor",
         "shim/supervisor/sealing/inspected_requests.cpp",
         "  if (!sealed) registry_.note_request(caller);\n", "",
         {SUPERVISED: ["pretended_filter"]}),
    Hole("filters: another one says that they are in, without a supervisor",
         "shim/preload/filters/deny_filter.cpp",
         "  if (after <= before) return -EPERM;\n", "",
         {FILTERS: ["pretended_filter"]}),
    Hole("huge pages: shrinking them is taken at its word",
         "policy/rules/mm_call.cpp",
         "  if (shrinks) call.if_huge = {source.end, huge.end};\n", "",
         {SUPERVISED: ["huge_page_shrunk", "library_behind_huge_page", "i386_huge_page_shrunk"], ALL: ["huge_page_shrunk"]}),
    Hole("huge pages: shrinking them is taken at its word, without a supervisor",
         "policy/bpf/mremap_program.cpp",
         "return huge_.if_shrunk(refuse, out_.load(low_of(3)));", "return out_.load(low_of(3));",
         {FILTERS: ["huge_page_shrunk_before_seal"]}),
    Hole("raw mseal: repeated, it does not wait for a call in flight",
         "shim/supervisor/sealing/raw_mseal.cpp",
         "return held || sealer.wait_for_calls(caller, job) ? 0 : -EBUSY;", "return 0;",
         {ALL: ["raw_mseal_repeated", "raw_mseal_forged"]}),
    Hole("sharers: not looked for again when the filter is in",
         *LOOKS_FOR_SHARERS_AGAIN,
         {SUPERVISED: ["sharer_raced"]}, tries=5),
    Hole("threads: not held again when the filter is in",
         "shim/supervisor/sealing/inspected_requests.cpp",
         "  ThreadHolder::Result held = sealer_.hold(caller, job);\n  if (held == ThreadHolder::Result::forbidden)\n",
         "  ThreadHolder::Result held = ThreadHolder::Result::held;\n  if (held == ThreadHolder::Result::forbidden)\n",
         {SUPERVISED: ["woken_between"]}, tries=5),
    Hole("images: what can't be looked at counts as gone",
         "shim/supervisor/registry/identification.cpp",
         "return gone ? Result::gone() : Result::unknown();", "return Result::gone();",
         {SUPERVISED: ["forgotten_by_limit"]}, tries=20,
         # What is seen of a task that is held takes no descriptor.
         also=(("shim/supervisor/registry/identification.cpp",
                "const HeldTask* const held = found->second.task.get();", "const HeldTask* const held = nullptr;"),
               LISTS_PROCESSES_AGAIN)),
    Hole("images: a list of processes that can't be read counts as empty",
         "shim/supervisor/processes/proc.cpp",
         "return listed.is_seen() ? listed : ReadResult<std::vector<pid_t>>::unknown();",
         "return listed.is_seen() ? listed : ReadResult<std::vector<pid_t>>::seen({});",
         {SUPERVISED: ["forgotten_by_limit"]}, tries=5,
         also=(("shim/supervisor/processes/proc.cpp",
                "    if (shim::read_stat(root_, 1, first) != 0 || may_hide_some())\n      return ReadResult<std::vector<pid_t>>::unknown();\n",
                "    (void)first;\n    (void)&KernelProc::may_hide_some;\n"),)),
    Hole("images: who can't be looked at counts as a stranger",
         "shim/supervisor/registry/registry.cpp",
         "    caller.record = newcomers_.seals_of_everybody();\n    return caller;",
         "    caller.standing = Caller::Standing::foreign;\n    return caller;",
         {SUPERVISED: ["forgotten_few_files"]},
         # Some descriptors are kept for this look.
         also=(("shim/supervisor/processes/held_files.h", "  if (is_one_of_last(file, kKeptByHolding)) {", "  if (file < 0) {"),)),
    Hole("images: a process whose first thread has ended counts as gone",
         "shim/supervisor/registry/identification.cpp",
         "  const auto thread = known_by_thread(process);\n  if (thread.is_seen() && *thread) {",
         "  const auto thread = ReadResult<std::optional<Identified>>::seen(std::nullopt);\n  if (thread.is_seen() && *thread) {",
         {SUPERVISED: ["forgotten_without_leader", "forgotten_among_forks"]}),
    Hole("seals: two processes without memory count as sharers",
         "shim/supervisor/processes/proc.cpp",
         "return after.is_seen() && after->size != 0;", "return after.is_seen();",
         {SUPERVISED: ["leaders_without_memory"], ALL: ["leaders_without_memory"]}),
    Hole("answers: a message that a filter pretends to answer counts as heard",
         "policy/protocol/control.h",
         "if (answer == 0) return -EPERM;", "if (answer == 0) return 0;",
         {SUPERVISED: ["pretended_success"], ALL: ["pretended_success"]}),
    Hole("answers: a filter that another one pretends to install counts as installed",
         "shim/preload/filters/install.cpp",
         "if (set_no_filter(flags) == 0) return -EPERM;", "(void)set_no_filter;",
         {FILTERS: ["pretended_success"]}),
    Hole("heap: the break is where it was when the seal was asked for",
         "shim/supervisor/sealing/sealer.cpp",
         "job.break_is_certain ? as_reported : breaks(search.heap_end(heap.end, is_break))", "as_reported",
         {SUPERVISED: ["heap_moved"], ALL: ["heap_moved"]}, tries=10),
    Hole("i386: calls that are too wide are let through",
         *REFUSES_WIDE_I386,
         {SUPERVISED: ["i386_wide_stalled"], ALL: ["i386_wide_stalled"], FILTERS: ["i386_wide_stalled"]}),
    Hole("late start: who is held by a tracer counts as asleep",
         "shim/preload/process/in_flight_calls.cpp",
         "return is_harmless && !is_in_state(thread, 't');", "return is_harmless;",
         {SUPERVISED: ["parked_by_tracer"], FILTERS: ["parked_by_tracer"]}),
    Hole("seals: the record counts for whatever is mapped there",
         *CHECKS_WHAT_IS_REPORTED,
         {SUPERVISED: ["forged_message", "sealed_area_hinted", "executed_again", "hole_of_fork"],
          ALL: ["sealed_area_hinted", "executed_again", "hole_of_fork"]}),
    Hole("segments: one that begins at page 0 counts as none",
         "policy/rules/seal.h",
         "kNotAttached = 1;", "kNotAttached = 0;",
         {SUPERVISED: ["segment_at_page_zero"], ALL: ["segment_at_page_zero"], FILTERS: ["segment_at_page_zero"]}),
    Hole("messages: a greeting ends what other threads ask for",
         "shim/supervisor/control_channel.cpp",
         "inspected_.forget(caller);  // only this", "inspected_.drop_jobs_of(caller.process);  // only this",
         {SUPERVISED: ["greeted_meanwhile"]},
         also=(("shim/supervisor/sealing/inspected_requests.cpp", "  if (job->wanted.empty()) return -ESTALE;", "  if (false) return -ESTALE;"),)),
    Hole("brk: a fork without a supervisor does not look whether its heap has grown over a hole",
         "shim/preload/backends/own_sealing.cpp",
         "found.refused_breaks.empty() || state.refused_breaks.contains(found.refused_breaks);", "true;",
         {FILTERS: ["heap_in_hole"]}),
    Hole("brk: what an earlier image has sealed is not looked for in the heap",
         "shim/supervisor/sealing/sealer.cpp",
         "  if (!now.refused_breaks.empty() && !audits_) return false;\n", "",
         {ALL: ["static_heap_executed_again"]}),
    Hole("brk: the heap of a static program ends after a terabyte",
         "shim/common/pieces.h",
         "heap_.start < before || !is_break ?", "heap_.start < before ?",
         {ALL: ["static_large_heap"]}),
    Hole("images: who is born during a collection is not looked at",
         "shim/supervisor/registry/identification.cpp",
         "  std::vector<pid_t> born = newborns.take();", "  (void)newborns.take();\n  std::vector<pid_t> born;",
         {SUPERVISED: ["forgotten_relay"]}, tries=5,
         also=(LISTS_PROCESSES_AGAIN,)),
    Hole("images: a process none of whose threads is met alive counts as gone",
         "shim/supervisor/registry/identification.cpp",
         "return alive ? Result::seen(alive) : not_seen_by_thread(process);", "return Result::seen(alive);",
         {SUPERVISED: ["forgotten_thread_relay"]}, tries=5),
    Hole("images: who is hidden by /proc counts as gone",
         "shim/supervisor/processes/proc.cpp",
         " || may_hide_some())\n      return", ")\n      return",
         {SUPERVISED: ["forgotten_hidden"]}),
    Hole("identity: a process that hides its memory is nobody's",
         "shim/supervisor/registry/identification.h",
         "    return filtered && !ended && has_not_left(image);", "    return false;",
         {SUPERVISED: ["not_dumpable"]}),
    Hole("identity: an unreadable image is taken",
         "shim/supervisor/control_channel.cpp",
         "  if (!caller.identity.readable()) return refuse(notification, EPERM);\n  if (!caller.foreign()) {",
         "  if (!caller.foreign()) {",
         {SUPERVISED: ["execute_only_joins"]},
         # What hides seals nothing.
         also=(("shim/supervisor/registry/registry.cpp",
                "      caller.hidden =\n          !who.memory.readable() && (member->first_seen_hidden || may_have_left(who, *image, *member));\n",
                ""),)),
    Hole("identity: the /proc of another namespace is taken",
         "shim/common/proc_root.h",
         "  return only_number == raw_syscall(__NR_getpid) ? 0 : -EXDEV;", "  return 0;",
         {SUPERVISED: ["proc_of_others"]}),
    Hole("identity: files of /proc are opened across mounts",
         "shim/common/proc_root.h",
         "    how.resolve = RESOLVE_NO_XDEV;", "    how.resolve = 0;",
         {SUPERVISED: ["proc_stat_covered"], ALL: ["proc_stat_covered"]}),
    Hole("identity: what is to be sealed is looked at in whatever lies at /proc",
         "shim/supervisor/sealing/sealer.cpp",
         "return proc_.open(shim::ProcPath(caller.task, file));",
         "return shim::ProcRoot().open(shim::ProcPath(caller.task, file), O_RDONLY);",
         {SUPERVISED: ["proc_of_children"], ALL: ["proc_of_children"]}),
    Hole("identity: the library looks at itself across mounts",
         "shim/preload/process/own_proc.h",
         'return ProcRoot().open(own_proc_path(file));',
         'ProcPath path("/proc/");\n'
         "  return raw_syscall(__NR_openat, AT_FDCWD, path.append(own_proc_path(file).text()).text(), O_CLOEXEC);",
         {FILTERS: ["proc_maps_covered"]}),
    Hole("identity: a new process with the number of an old one is that",
         "shim/supervisor/registry/newcomers.cpp",
         "  return member->task.get() == who.seen_by || member->task->stat().is_seen() ? member : nullptr;",
         "  return member;",
         {SUPERVISED: ["reused_pid"]}, tries=5, also=(KEEPS_OWN_ACCOUNT,)),
    Hole("identity: a new process with the number of an old one has sealed what that one has",
         "shim/supervisor/registry/newcomers.cpp",
         "  record->disown(who.process);\n", "",
         {SUPERVISED: ["reused_pid"]}, tries=5, also=(KEEPS_OWN_ACCOUNT,)),
    Hole("messages: what a child says counts for its parent",
         "shim/supervisor/sealing/sealer.cpp",
         "  if (entry.by != caller.process) return false;\n", "  (void)caller;\n",
         {SUPERVISED: ["forged_message", "forged_heap_message"], ALL: ["forged_heap_message"]},
         also=(KEEPS_OWN_ACCOUNT, CHECKS_WHAT_IS_REPORTED)),
    Hole("messages: a heap that the supervisor is said to seal",
         "shim/supervisor/sealing/sealer.cpp",
         "is_watched({&entry.seal.range, 1}) && !entry.seal.range.touches(heap)",
         "is_watched({&entry.seal.range, 1}) || entry.seal.range.touches(heap)",
         {SUPERVISED: ["forged_heap_message"], ALL: ["forged_heap_message"]}, also=(CHECKS_WHAT_IS_REPORTED,)),
    Hole("types: what takes no more gets some by a message",
         "shim/supervisor/sealing/reported_requests.cpp",
         "  if (refuses_types(caller, ranges, message.seal.types)) return -EACCES;\n", "",
         {SUPERVISED: ["types_widened"], ALL: ["types_widened"]}),
    Hole("types: the same by mseal(2) itself",
         "shim/supervisor/sealing/raw_mseal.cpp",
         "  if (refuses_types(caller, job.ranges, job.types)) return -EACCES;\n", "",
         {ALL: ["types_widened"]}),
    Hole("types: the supervisor takes the base for nothing",
         "policy/rules/verdict.cpp",
         "const SealTypes type = call.call == Call::mprotect ? kProtectionType : kBaseType;",
         "const SealTypes type = kProtectionType;",
         {SUPERVISED: ["types_widened"], ALL: ["types_widened"]}),
    Hole("listeners: a second one may be installed",
         "policy/bpf/libseccomp_rules.h",
         "{is_int(0, SECCOMP_SET_MODE_FILTER), has_bit(1, SECCOMP_FILTER_FLAG_NEW_LISTENER)}},",
         "{is_int(0, SECCOMP_SET_MODE_FILTER), is_int(1, ~0U)}},",
         {SUPERVISED: ["own_listener"]}),
    Hole("forks: the seals of members that have called execve are lost",
         "shim/supervisor/registry/newcomers.cpp",
         "    for (const auto& ended : image->ended) parents.push_back(ended.get());", "",
         {SUPERVISED: ["born_of_the_dead"], ALL: ["born_of_the_dead"]}),
    Hole("forks: a process that is being born is not looked for again",
         "shim/supervisor/registry/newcomers.cpp",
         "if (all) return identification_.everybody();",
         "if (all) return ReadResult<std::vector<Identified>>::seen({});",
         {SUPERVISED: ["forgotten_unborn"], ALL: ["forgotten_unborn"]}),
    Hole("the table: a fork may be without it",
         "shim/preload/backends/join_tree.cpp",
         "map_in_window(state, Window::protected_contents,", "map_in_window(state, Window::other_contents,",
         {SUPERVISED: ["table_shadowed"], ALL: ["table_shadowed"]},
         also=(("shim/preload/backends/found_tree.cpp", "move_to_window(state, Window::protected_contents,",
                "move_to_window(state, Window::other_contents,"),)),
    Hole("the clock: it is the program's",
         "shim/common/clock.h",
         "raw_syscall(__NR_clock_gettime, clock, &now) == 0 || clock_gettime(clock, &now) == 0;",
         "clock_gettime(clock, &now) == 0;",
         {FILTERS: ["own_clock"]}),
    Hole("x32: calls that began before the first filter are not known",
         "policy/parsers/syscall_line.cpp",
         "if (before) number &= ~std::uint64_t{kX32Bit};", "(void)kX32Bit;",
         {SUPERVISED: ["x32_stalled"], ALL: ["x32_stalled"], FILTERS: ["x32_stalled"]}),
    Hole("sharers: who was alone with its memory counts as alone for others in it",
         "shim/supervisor/registry/registry.cpp",
         "  if (alone.process != caller.process) alone = {caller.process, {}, false};\n", "",
         {SUPERVISED: ["sealed_by_sharer", "heap_sealed_by_sharer"], ALL: ["heap_sealed_by_sharer"]},
         also=(("shim/supervisor/registry/caller.h", "return record->alone.still && record->alone.process == process;",
                "return record->alone.still;"),)),
    Hole("sharers: the same without a supervisor",
         "shim/preload/process/own_sharers.cpp",
         "process == state.alone_process ? state.alone_since : ForkSample{};", "state.alone_since;",
         {FILTERS: ["sealed_by_sharer", "heap_sealed_by_sharer"]}),
    Hole("late start: a process counts as under the filters of another",
         "shim/preload/filters/first_filter.cpp",
         "  if (!has_older_sharers || state.tree_options.audits) return true;\n", "  if (has_older_sharers) return true;\n",
         {FILTERS: ["started_by_sharer"]}),
    Hole("late start: a filter of the program counts as the first one",
         "shim/preload/filters/first_filter.cpp",
         " == -EPERM &&\n         raw_syscall(__NR_munmap, last - state.windows.ranges.front().size(), 0) == -EINVAL;", " == -EPERM;",
         {FILTERS: ["own_filter_for_first"]}),
    Hole("late start: nobody looks who has the memory when a mapping is born sealed",
         "shim/preload/sealing/sealing.cpp",
         "  if (!state.may_be_shared) return 0;\n", "  return 0;\n",
         {SUPERVISED: ["born_beside_sharer"], ALL: ["born_beside_sharer"], FILTERS: ["born_beside_sharer"]}),
    Hole("lineage: a child of the parent is taken for a copy of it",
         "shim/supervisor/registry/lineage.cpp",
         "if (parent.is_seen()) return note_adopter({id, parent->start_time});", "if (parent.is_seen()) return;",
         {ALL: ["born_of_sibling"]}),
    Hole("lineage: a process without the first filter is thought to adopt nobody",
         "shim/supervisor/registry/registry.h",
         "    note_unknown_lineage();  // processes", "    // processes",
         {SUPERVISED: ["adopted_after_late_start"], ALL: ["adopted_after_late_start"]}),
    Hole("lineage: the adopted are taken for copies of the adopter",
         "shim/supervisor/registry/lineage.cpp",
         "  adopters_.insert(process);\n", "  (void)process;\n",
         {SUPERVISED: ["born_of_the_dead"], ALL: ["born_of_the_dead"]}),
    Hole("messages: what a process says of its filters is believed",
         *KEEPS_OWN_ACCOUNT,
         {SUPERVISED: ["forged_message"]}),
    Hole("forks: children are not met before their parent is forgotten",
         "shim/supervisor/registry/forget_ended.cpp",
         "  for (const Identified& one : *alive) newcomers_.register_process(one);\n", "",
         {SUPERVISED: ["born_of_the_dead"], ALL: ["born_of_the_dead"]}),
    Hole("static programs: no wait for calls that were let through",
         "shim/supervisor/sealing/raw_mseal.cpp",
         "const ThreadHolder::Result result = sealer.hold(caller, job);", "const auto result = ThreadHolder::Result::held;",
         {ALL: ["static_call_under_way"]}, tries=10),
    Hole("io_uring: rings made before the seal are not looked for",
         "shim/preload/process/io_uring.cpp",
         "    if (const long result = look(); result != 0) return result;", "    (void)look;",
         {SUPERVISED: ["io_uring_before_seal"], FILTERS: ["io_uring_before_seal"]}),
]


def copy_if_changed(source, target):
    """So that what an earlier run has left is built again, and nothing else."""
    if not os.path.exists(target) or not filecmp.cmp(source, target, shallow=False):
        shutil.copy(source, target)


class Copy:
    """A copy of the sources, and what is built from it."""

    def __init__(self, folder, jobs, by):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # some attacks are another user's
        self.by = by
        self.source = folder / "source"
        self.build = folder / "build"
        self.jobs = jobs
        shutil.copytree(SOURCE, self.source, ignore=shutil.ignore_patterns("build", ".git"), copy_function=copy_if_changed,
                        dirs_exist_ok=True)
        for file in self.source.rglob("*"):
            if file.is_file() and not (SOURCE / file.relative_to(self.source)).exists():
                file.unlink()
        subprocess.run(["cmake", "--preset", "dev", "-D", "LIBMSEAL_WERROR=OFF", "-B", self.build], cwd=self.source, check=True,
                       stdout=subprocess.DEVNULL)
        self.make("mseal", "mseal-supervisor", "attack_tests")

    def make(self, *targets):
        made = subprocess.run(["cmake", "--build", self.build, "-j", str(self.jobs), "--target", *targets],
                              capture_output=True, text=True)
        if made.returncode != 0:
            sys.exit(f"take_fixes_out: it does not build:\n{made.stdout[-3000:]}")

    def outcome(self, mode, attack):
        case, options = mode
        run = subprocess.run([*self.by, self.build / "tests/attacks/attack_tests", case, "-c", f"{attack} under {options}"],
                             capture_output=True, text=True)
        if "skipped: " in run.stdout:
            return "not here"
        if "assertion" not in run.stdout:
            sys.exit(f"take_fixes_out: {attack} under {options} did not run:\n{run.stdout}{run.stderr}")
        if run.returncode == 0:
            return "held"
        broken = re.search(r"seen\(result\.status\) == seen\(expected\.status\).*\n.*\n +1 == [03]\n", run.stdout)
        return "gets through" if broken else "other answer"


def without_fix(copy, hole):
    """False if an attack fails all the same."""
    before = {}
    try:
        for name, fix, without in hole.edits():
            file = copy.source / name
            text = file.read_text()
            before.setdefault(file, text)
            file.write_text(text.replace(fix, without))
        copy.make("mseal", "mseal-supervisor")
        good = True
        for mode, attacks in hole.attacks.items():
            for attack in attacks:
                for _ in range(hole.tries):
                    outcome = copy.outcome(mode, attack)
                    if outcome == "gets through":
                        break
                good = good and outcome in ("gets through", "not here")
                print(f"{outcome.replace('held', 'HELD'):12}  {attack} under {mode[1]}", flush=True)
        return good
    finally:
        for file, text in before.items():
            file.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="holes with one of these words in their names (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="of the build")
    parser.add_argument("--work", help="a folder for the copy and its build, to be kept for the next time")
    parser.add_argument("--by", default="", help="a command that runs the attacks, such as one that boots another kernel")
    parser.add_argument("--find", action="store_true", help="only see whether every fix is where this file says")
    arguments = parser.parse_args()
    holes = [hole for hole in HOLES if not arguments.words or any(word in hole.name for word in arguments.words)]
    for hole in holes:
        for file, fix, _ in hole.edits():
            if (SOURCE / file).read_text().count(fix) != 1:
                print(f"take_fixes_out: {file} does not have this once:\n{fix}", file=sys.stderr)
                sys.exit(2)
    if arguments.find:
        sys.exit(0)
    with contextlib.ExitStack() as stack:
        folder = arguments.work or stack.enter_context(tempfile.TemporaryDirectory(prefix="libmseal-fixes-"))
        copy = Copy(pathlib.Path(folder), arguments.jobs, arguments.by.split())
        good = True
        for mode, attack in sorted({(mode, attack) for hole in holes for mode, attacks in hole.attacks.items()
                                    for attack in attacks}):
            if (outcome := copy.outcome(mode, attack)) not in ("held", "not here"):
                print(f"with every fix in, {attack} under {mode[1]}: {outcome}", flush=True)
                good = False
        for hole in holes:
            print(f"\n{hole.name} ({hole.file})", flush=True)
            good = without_fix(copy, hole) and good
        sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
