#!/usr/bin/env python3
"""Takes the fix of each known hole out, one at a time, and shows which attacks on that hole get through then.

A table of attacks that all fail proves little if they would fail anyway. This builds a copy of the sources once as it is
and once without each fix, and runs the attacks that the fix is there for: they must fail in the one and get through in
the other. One that is HELD all the same has another defence as well, or this file takes the wrong thing out. It takes half
an hour and is not part of CI.

    tests/attacks/take_fixes_out.py                 all of them
    tests/attacks/take_fixes_out.py brk io_destroy  those whose name has one of these words in it
    tests/attacks/take_fixes_out.py --by "tests/stock-kernel/boot.py --kernel 6.1 --" i386
                                                    on another kernel, which this one does not have the calls for

Exit status: 0 if every attack got through without its fix, or can't be tried here; 1 if one did not; 2 if the sources have
changed and a fix is no longer where this file says.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

SOURCE = pathlib.Path(__file__).resolve().parents[2]

SUPERVISED = ("attack: under our seals", "backend=seccomp")
ALL = ("attack: when every call is reported", "backend=seccomp,coverage=all")
FILTERS = ("attack: without a supervisor*", "backend=filter")


@dataclass
class Hole:
    name: str
    file: str
    fix: str  # the text in the file
    without: str  # what stands there without the fix
    attacks: dict = field(default_factory=dict)  # a mode: names of attacks
    tries: int = 1  # of an attack that has to win a race


HOLES = [
    Hole("i386: the filters read all of a register",
         "policy/bpf/range_program.cpp",
         "range_.set_short_arguments(abi.has_short_arguments());", "range_.set_short_arguments(false);",
         {SUPERVISED: ["i386_upper_halves"], FILTERS: ["i386_upper_halves"]}),
    Hole("i386: the supervisor reads all of a register",
         "policy/rules/mm_call.cpp",
         "argument &= abi.argument_mask;", "argument &= ~0ULL;",
         {ALL: ["i386_upper_halves"]}),
    Hole("huge pages: the target of mremap is not rounded up",
         "policy/rules/mm_call.cpp",
         "call.ranges[1] = rounded_to_huge_pages(target, machine.huge_page_at(target.start));",
         "call.ranges[1] = target;\n  return;",
         {SUPERVISED: ["huge_page_moved"], ALL: ["huge_page_moved"]}),
    Hole("huge pages: a part of one is sealed",
         "shim/common/pieces.h",
         "if (part == vma.range || ", "if (part.start != 0 || part == vma.range || ",
         {SUPERVISED: ["huge_page_part_sealed"], ALL: ["huge_page_part_sealed"]}),
    Hole("huge pages: a mapping by flag is not rounded up",
         "policy/rules/mm_call.cpp",
         "call.ranges[0] = hugetlb ? huge : range;", "call.ranges[0] = range;",
         {SUPERVISED: ["huge_page_by_flag"], ALL: ["huge_page_by_flag"]}),
    Hole("segments: SHM_REMAP is let through",
         "policy/bpf/range_program.cpp",
         "const Label remap = returning(unjudgeable().shm_remap);", "const Label remap = other_;",
         {SUPERVISED: ["segment_over", "segment_over_huge", "segment_of_another_namespace"], FILTERS: ["segment_over"]}),
    Hole("segments: shmdt is let through by the supervisor",
         "policy/rules/verdict.cpp",
         "seal.attachment != 0 && seal.attachment == call.argument;", "seal.attachment == 1;",
         {SUPERVISED: ["segment_detached", "segment_decoy"], ALL: ["segment_detached", "segment_decoy"]}),
    Hole("segments: shmdt is let through by the filters",
         "policy/bpf/range_program.cpp",
         "    if (!decides()) return deferred_;\n    Label next = other_;\n    for (const std::uint64_t attachment",
         "    return other_;\n    Label next = other_;\n    for (const std::uint64_t attachment",
         {FILTERS: ["segment_detached", "segment_decoy"]}),
    Hole("remap_file_pages is let through",
         "policy/rules/mm_call.cpp",
         "  call.ranges[0] = {rounded, start + arguments[1]};", "  return;",
         {SUPERVISED: ["file_pages_remapped", "file_pages_rounded"], ALL: ["file_pages_remapped"]}),
    Hole("io_destroy is let through",
         "policy/bpf/range_program.cpp",
         "return returning(unjudgeable().io_destroy);", "return other_;",
         {SUPERVISED: ["aio_ring_destroyed", "aio_ring_aimed", "aio_ring_replaced", "aio_ring_tail"],
          FILTERS: ["aio_ring_destroyed"]}),
    Hole("brk is let through",
         "policy/rules/verdict.cpp",
         "    if (end > floor && end > refused.end) refused = {floor, end};", "    (void)end;",
         {SUPERVISED: ["heap_over_file", "heap_without_start", "heap_start_over_mapped", "i386_break"],
          ALL: ["heap_over_file"], FILTERS: ["heap_over_file"]}),
    Hole("brk: static programs are promised their heap",
         "shim/supervisor/sealing.cpp",
         "if (!job.refused_breaks.empty() && !rules_.audits) {", "if (job.refused_breaks.size() == 1) {",
         {ALL: ["static_heap_start_over_mapped"]}),
    Hole("growing stacks: PROT_GROWSDOWN counts for its own range alone",
         "policy/rules/verdict.cpp",
         "return call.grows_down && ", "return false && ",
         {SUPERVISED: ["grows_down", "grows_down_raced"], ALL: ["grows_down"]}),
    Hole("growing stacks: the same in the filters",
         "policy/bpf/range_program.cpp",
         "if (!notifies() && !what_.unsupervised.refuse_grows_down) return ranges();", "if (!notifies()) return ranges();",
         {FILTERS: ["grows_down"]}),
    Hole("threads: a call that is blocked from the first seal on counts as none that is under way",
         "policy/parsers/syscall_line.cpp",
         "if (is_blocked(abi, number, arguments)) return Whereabouts::in_call;", "(void)is_blocked;",
         {SUPERVISED: ["process_madvise_stalled"], FILTERS: ["process_madvise_stalled"]}),
    Hole("sharers: nobody is looked for",
         "shim/common/sharers.h",
         "    if (now.none_since(since)) return Sharing::alone;", "    if (now.last != -1) return Sharing::alone;",
         {SUPERVISED: ["sibling_process", "sharer_orphaned", "sharer_without_leader"],
          FILTERS: ["sibling_process", "sharer_orphaned", "sharer_without_leader"]}),  # sharer_of_parent fails all the same
    Hole("sharers: who can't be compared and runs under no filter counts as another",
         "shim/common/sharers.h",
         "return peaks_differ(task) || images_differ(task) ?", "return peaks_differ(task) || images_differ(task) || !status.filtered ?",
         {SUPERVISED: ["sharer_not_dumpable"], FILTERS: ["sharer_not_dumpable"]}),
    Hole("sharers: not missed outside of the pid namespace, in a program that starts late",
         "shim/preload/start.cpp",
         "on_its_own ? check_pid_namespace() : 0;", "on_its_own ? 0 : 0;",
         {SUPERVISED: ["sharer_outside"]}),
    Hole("sharers: not looked for again when the filter is in",
         "shim/supervisor/sealing.cpp",
         "  if (registry_.sharers(caller) != Sharing::alone) {\n    holder_.release(job.held);\n    return -EAGAIN;\n  }", "",
         {SUPERVISED: ["sharer_raced"]}, tries=5),
    Hole("threads: not held again when the filter is in",
         "shim/supervisor/sealing.cpp",
         "  ThreadHolder::Result held = hold(caller, job);\n  if (held == ThreadHolder::Result::forbidden) held",
         "  ThreadHolder::Result held = ThreadHolder::Result::held;\n  if (held == ThreadHolder::Result::forbidden) held",
         {SUPERVISED: ["woken_between"]}, tries=5),
    Hole("images: what can't be looked at counts as gone",
         "shim/supervisor/identification.cpp",
         "return gone ? Result::gone() : Result::unknown();", "return Result::gone();",
         {SUPERVISED: ["forgotten_few_files", "forgotten_by_limit"]}),
    Hole("images: a process whose first thread has ended counts as gone",
         "shim/supervisor/identification.cpp",
         "  const auto thread = known_by_thread(process);\n  if (thread.is_seen() && *thread) {",
         "  const auto thread = Look<std::optional<Identified>>::seen(std::nullopt);\n  if (thread.is_seen() && *thread) {",
         {SUPERVISED: ["forgotten_without_leader", "forgotten_among_forks"]}),
    Hole("images: who is born during a collection is not looked at",
         "shim/supervisor/identification.cpp",
         "  std::vector<pid_t> born = newborns.take();", "  (void)newborns.take();\n  std::vector<pid_t> born;",
         {SUPERVISED: ["forgotten_relay"]}, tries=5),
    Hole("identity: a process that hides its memory is nobody's",
         "shim/supervisor/identification.h",
         "    return filtered && !ended && has_not_left(image);", "    return false;",
         {SUPERVISED: ["not_dumpable"]}),
    Hole("identity: an unreadable image is taken",
         "shim/supervisor/control_channel.cpp",
         "  if (!caller.identity.readable()) return refuse(notification, EPERM);\n  if (caller.foreign()) {",
         "  if (caller.foreign()) {",
         {SUPERVISED: ["execute_only"]}),
    Hole("identity: the /proc of another namespace is taken",
         "shim/common/proc_root.h",
         "  if (got < 0) return false;\n  const std::string_view text(buffer", "  if (got > 0) return true;\n  const std::string_view text(buffer",
         {SUPERVISED: ["proc_of_others"]}),
    Hole("identity: files of /proc are opened across mounts",
         "shim/common/proc_root.h",
         "    how.resolve = RESOLVE_NO_XDEV;", "    how.resolve = 0;",
         {SUPERVISED: ["proc_stat_covered"], ALL: ["proc_stat_covered"]}),
    Hole("identity: a new process with the number of an old one is that",
         "shim/supervisor/registry.cpp",
         "  return held == who.seen_by || held->stat().is_seen() ? &found->second : nullptr;", "  return &found->second;",
         {SUPERVISED: ["reused_pid"]}),
    Hole("messages: what a child says counts for its parent",
         "shim/supervisor/sealing.cpp",
         "    if (!(entry.by == caller.process)) return false;\n", "",
         {SUPERVISED: ["forged_message"]}),
    Hole("messages: a heap that the supervisor is said to seal",
         "shim/supervisor/sealing.cpp",
         "return is_watched({&entry.seal.range, 1}) && !entry.seal.range.touches(heap);",
         "return is_watched({&entry.seal.range, 1}) || entry.seal.range.touches(heap);",
         {ALL: ["forged_heap_message"]}),
    Hole("forks: the seals of members that have ended are lost",
         "shim/supervisor/registry.cpp",
         "    for (const auto& ended : image->ended) record->inherit(*ended, birth, seen);", "",
         {SUPERVISED: ["born_of_the_dead"], ALL: ["born_of_the_dead"]}),
    Hole("static programs: no wait for calls that were let through",
         "shim/supervisor/sealing.cpp",
         "  const bool held = result == ThreadHolder::Result::held || result == ThreadHolder::Result::cloning;",
         "  const bool held = result != ThreadHolder::Result::stuck || result == ThreadHolder::Result::stuck;",
         {ALL: ["static_call_under_way"]}, tries=5),
    Hole("io_uring: rings made before the seal are not looked for",
         "shim/preload/io_uring.cpp",
         "    if (const long result = look(); result != 0) return result;", "    (void)look;",
         {SUPERVISED: ["io_uring_before_seal"], FILTERS: ["io_uring_before_seal"]}),
]


class Copy:
    """A copy of the sources, and what is built from it."""

    def __init__(self, folder, jobs, by):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # some attacks are another user's
        self.by = by
        self.source = folder / "source"
        self.build = folder / "build"
        self.jobs = jobs
        shutil.rmtree(self.source, ignore_errors=True)
        shutil.copytree(SOURCE, self.source, ignore=shutil.ignore_patterns("build", ".git"))
        subprocess.run(["cmake", "--preset", "dev", "-D", "LIBMSEAL_WERROR=OFF", "-B", self.build], cwd=self.source, check=True,
                       stdout=subprocess.DEVNULL)
        self.make()

    def make(self):
        made = subprocess.run(["cmake", "--build", self.build, "-j", str(self.jobs), "--target", "mseal", "mseal-supervisor",
                               "attack_tests"], capture_output=True, text=True)
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
        return "held" if run.returncode == 0 else "gets through"


def without_fix(copy, hole):
    """False if an attack fails all the same."""
    file = copy.source / hole.file
    text = file.read_text()
    file.write_text(text.replace(hole.fix, hole.without))
    try:
        copy.make()
        good = True
        for mode, attacks in hole.attacks.items():
            for attack in attacks:
                for _ in range(hole.tries):
                    outcome = copy.outcome(mode, attack)
                    if outcome != "held":
                        break
                good = good and outcome != "held"
                print(f"{outcome.replace('held', 'HELD'):12}  {attack} under {mode[1]}", flush=True)
        return good
    finally:
        file.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="holes with one of these words in their names (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="of the build")
    parser.add_argument("--work", help="a folder for the copy and its build, to be kept for the next time")
    parser.add_argument("--by", default="", help="a command that runs the attacks, such as one that boots another kernel")
    arguments = parser.parse_args()
    holes = [hole for hole in HOLES if not arguments.words or any(word in hole.name for word in arguments.words)]
    for hole in holes:
        if (SOURCE / hole.file).read_text().count(hole.fix) != 1:
            print(f"take_fixes_out: {hole.file} does not have this once:\n{hole.fix}", file=sys.stderr)
            sys.exit(2)
    with contextlib.ExitStack() as stack:
        folder = arguments.work or stack.enter_context(tempfile.TemporaryDirectory(prefix="libmseal-fixes-"))
        copy = Copy(pathlib.Path(folder), arguments.jobs, arguments.by.split())
        good = True
        for mode, attack in sorted({(mode, attack) for hole in holes for mode, attacks in hole.attacks.items()
                                    for attack in attacks}):
            if copy.outcome(mode, attack) == "gets through":
                print(f"with every fix in, {attack} under {mode[1]} gets through", flush=True)
                good = False
        for hole in holes:
            print(f"\n{hole.name} ({hole.file})", flush=True)
            good = without_fix(copy, hole) and good
        sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
