#!/usr/bin/env python3
"""Faults during a seal: strace makes the system calls of the library or of the supervisor fail, one at a time.

    fault_injection.py --program PROGRAM [--all] [--only TEXT] [--table]

A plain strace lists the calls that one seal makes. Then they fail, one at a time, in a seal of a fresh page and in one of two
pages: of each system call the first four that are made and the last two, each with one of six errors, in turns. With --all
all of them fail with each error, which lasts much longer. Whatever fails:

- the answer 0 means that every page is sealed;
- another answer is a documented error and has sealed nothing;
- the next seal works, the program does not hang, and the supervisor goes on to serve.

--only runs the settings whose name contains TEXT; --table lists all calls with what came of their failures. Exit status
77 if strace is missing or may not be used (1 with MSEAL_TESTS_MUST_RUN=1).
"""

import argparse
import collections
import errno
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import queue
import time

ERRORS = ["EMFILE", "ENOMEM", "EINTR", "EPERM", "EAGAIN", "EIO"]
DOCUMENTED = {errno.EAGAIN, errno.ENOMEM}
FLAVOURS = [1, 2]
PATIENCE = 20  # seconds for one round

# Calls that are not made to fail, and why.
LEFT_OUT = {
    "brk": "it has no error: it answers where the break is",
    "getpid": "it has no error",
    "gettid": "it has no error",
    "getppid": "it has no error; the mark around a seal",
    "clock_gettime": "it fails only for a clock that does not exist",
    "rt_sigprocmask": "it fails only for a bad argument",
    "mseal": "the message to the supervisor, which alone answers it: its own failures are injected there",
    "restart_syscall": "poll, which strace has interrupted; poll itself fails, too",
    "exit": "it does not return",
    "exit_group": "it does not return",
    "rt_sigreturn": "it does not return",
}
# The same of the supervisor alone, by the beginning of the arguments.
LEFT_OUT_OF_SUPERVISOR = {
    ("ptrace", "PTRACE_INTERRUPT"): "it fails only where the thread has ended",
    ("ptrace", "PTRACE_DETACH"): "the same; what strace does not run leaves the thread stopped for ever",
    ("wait4", ""): "with WNOHANG it fails only where the thread has ended; not run, it leaves the thread stopped for ever",
}
MSEAL_NUMBER = 462

Call = collections.namedtuple("Call", "name number text")
# Of one round: see fault_program.c.
Report = collections.namedtuple("Report", "thread result error refused states next")



def errors_of(site, call, every):
    """The errors with which a call fails, of which `site` is the number."""
    chosen = ["EINTR", "EIO"] if call.name == "close" else ERRORS  # the others can't be
    return chosen if every else [chosen[site % len(chosen)]]


class Hung(Exception):
    pass


class Lines:
    """The lines that a process writes, with a time limit."""

    def __init__(self, stream):
        self.lines = queue.Queue()
        threading.Thread(target=self.read, args=[stream], daemon=True).start()

    def read(self, stream):
        for line in stream:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next(self):
        """None at the end."""
        try:
            return self.lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise Hung from None


class Program:
    def __init__(self, path, backend, *arguments):
        environment = dict(os.environ, MSEAL_OPTIONS=f"backend={backend}")
        self.process = subprocess.Popen([path, *arguments], env=environment, text=True, bufsize=1, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = Lines(self.process.stdout)
        self.said = Lines(self.process.stderr)

    def tell(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def report(self):
        """None once the program has ended."""
        line = self.lines.next()
        if line is None:
            return None
        thread, result, error, refused, states, following = line.split()
        return Report(int(thread), int(result), int(error), refused, states, int(following))

    def stop(self):
        self.process.kill()
        self.process.wait()


class Strace:
    def __init__(self, pid, folder, *options):
        self.log = pathlib.Path(folder) / "strace"
        line = None
        for _ in range(20):  # the supervisor may be holding a thread at this moment
            self.log.unlink(missing_ok=True)
            self.process = subprocess.Popen(["strace", "-f", "-n", "-s", "64", "-o", self.log, *options, "-p", str(pid)],
                                            text=True, stderr=subprocess.PIPE)
            self.lines = Lines(self.process.stderr)
            line = self.lines.next()
            if line is not None and "attached" in line:
                return
            self.process.kill()
            self.process.wait()
            time.sleep(0.05)
        raise PermissionError(line or "strace has ended")

    def stop(self):
        """Its log, once it has let go."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=PATIENCE)
        return self.log.read_text(errors="replace").splitlines()


# THREAD [NUMBER] NAME(...; what goes on after an interruption has no number that counts.
# The filters of so many rounds find room in the kernel.
MOST_ROUNDS = 40

LINE = re.compile(r"(\d+) +\[ *(\d+)\] (\w+)\((.*)")


def calls_in(log, thread):
    """The calls that this thread has begun."""
    found = []
    for line in log:
        match = LINE.match(line)
        if match and int(match[1]) == thread:
            number = int(match[2])
            found.append(Call("mseal" if number == MSEAL_NUMBER else match[3], number, match[4]))
    return found


class Results:
    def __init__(self):
        self.outcomes = collections.defaultdict(collections.Counter)  # by setting and call
        self.wrong = []
        self.injected = 0
        self.missed = 0  # the seal ended before it came to the call

    def count(self, setting, call, outcome):
        self.outcomes[setting, call][outcome] += 1

    def judge(self, where, report):
        """`where`: the setting first, the call third."""
        wrong = []
        if report is None:
            outcome = "no answer"
            wrong.append("the program has ended")
        elif report.result == 0:
            outcome = "0"
            if set(report.refused) != {"1"}:
                wrong.append("not sealed")
            if set(report.states) != {"2"}:
                wrong.append("mseal_query does not know it")
        else:
            outcome = errno.errorcode.get(report.error, str(report.error))
            if report.error not in DOCUMENTED:
                wrong.append("not documented")
            if set(report.refused) != {"0"}:
                wrong.append("refused all the same")
        if report is not None and report.next != 0:
            wrong.append("the next seal fails")
        self.count(where[0], where[2], ", ".join([outcome, *wrong]))
        if wrong:
            self.wrong.append(f"{', '.join(str(one) for one in where)}: {', '.join([outcome, *wrong])}; {report}")


def reap():
    """What has been orphaned: this process is the first of its pid namespace."""
    try:
        while os.getpid() == 1 and os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


# ---- without failures ----

def test_undisturbed(results, path, backend, busy, more=""):
    """Each thread that seals ends right afterwards, and another one looks."""
    setting = f"undisturbed: {backend}{more}, {busy} program"
    program = Program(path, backend + more, "chain", busy, *[f"{flavour}:-1:0" for flavour in FLAVOURS * 2])
    try:
        if program.lines.next() != "ready":
            raise RuntimeError(f"{path} does not start: {program.said.next()}")
        program.tell("\n")
        for flavour in FLAVOURS * 2:
            report = program.report()
            results.judge((setting, flavour, "none"), report)
            if report is not None and report.result != 0:
                results.wrong.append(f"{setting}: the seal fails: {report}")
    except Hung:
        results.wrong.append(f"{setting}: hangs")
    finally:
        program.stop()
        reap()


# ---- the calls of the program ----

def run_chain(results, setting, path, backend, busy, folder, error, when, rounds):
    """`rounds`: (flavour, call, fillers), or (flavour, None, 0). The reports, and the log of strace."""
    texts = [f"{flavour}:{call.number if call else -1}:{fillers}" for flavour, call, fillers in rounds]
    options = ["-e", "trace=all"]
    for name in sorted({call.name for _, call, _ in rounds if call}):
        options += ["-e", f"inject={name}:error={error}:when={when}"]
    program = Program(path, backend, "chain", busy, *texts)
    reports = []
    strace = None
    try:
        if program.lines.next() != "ready":
            raise RuntimeError(f"{path} does not start: {program.said.next()}")
        strace = Strace(program.process.pid, folder, *options)
        program.tell("\n")
        for flavour, call, fillers in rounds:
            try:
                report = program.report()
            except Hung:
                results.wrong.append(f"{setting} {call and call.name} {when - fillers} {error}: hangs")
                break
            reports.append(report)
            if report is None:
                break
    finally:
        program.stop()
        log = strace.stop() if strace else []
        reap()
    return reports, log


def of_seal(calls):
    """What stands between the marks."""
    marks = [place for place, call in enumerate(calls) if call.name == "getppid"]
    return calls[marks[0] + 1:marks[1]]


def places(count, every):
    """Which of so many calls fail: a look at every process, or for a thread to sleep, makes many that are alike."""
    return [place for place in range(1, count + 1) if every or place <= 4 or place > count - 2]


def test_program(results, path, backend, busy, folder, every):
    setting = f"{backend}, {busy} program"
    # Held by strace, a busy thread can't be held by the supervisor.
    plain, log = run_chain(results, setting, path, backend, busy, folder, None, 0, [(one, None, 0) for one in FLAVOURS])
    sites = []
    for flavour, report in zip(FLAVOURS, plain):
        counts = collections.Counter(call._replace(text="") for call in of_seal(calls_in(log, report.thread)))
        sites += [(flavour, call, count) for call, count in counts.items() if call.name not in LEFT_OUT]
    most = max(count for _, _, count in sites) + 8
    rounds = [(flavour, call, most - place) for flavour, call, count in sites for place in places(count, every)]
    for error in ERRORS:
        chosen = [one for site, one in enumerate(rounds) if error in errors_of(site, one[1], every)]
        for first in range(0, len(chosen), MOST_ROUNDS):
            test_rounds(results, setting, (path, backend, busy), folder, error, most, chosen[first:first + MOST_ROUNDS])


def test_rounds(results, setting, program, folder, error, when, rounds):
    reports, log = run_chain(results, setting, *program, folder, error, when, rounds)
    met = {int(line.split()[0]) for line in log if "(INJECTED)" in line}
    for (flavour, call, fillers), report in zip(rounds, reports):
        if report is not None and report.thread not in met:
            results.missed += 1
            continue
        results.injected += 1
        results.judge((setting, flavour, call.name, when - fillers, error), report)


# ---- the calls of the supervisor ----

def supervisors():
    found = set()
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().startswith("mseal-super"):
                found.add(int(folder.name))
        except OSError:
            pass
    return found


class Served:
    """A program in rounds, and its supervisor."""

    def __init__(self, path, busy):
        before = supervisors()
        self.program = Program(path, "supervised", "serve", busy)
        self.seal(1)
        self.report()
        (self.supervisor,) = supervisors() - before

    def seal(self, flavour):
        """False if the program has ended."""
        self.program.tell(f"{flavour}\n")
        return self.program.lines.next() == "sealed"

    def report(self):
        self.program.tell("\n")
        return self.program.report()

    def stop(self):
        self.program.stop()
        reap()


def is_left_out(call):
    return call.name in LEFT_OUT or any(call.name == name and call.text.startswith(text)
                                        for name, text in LEFT_OUT_OF_SUPERVISOR)


def is_lost_answer(call):
    return call.name == "ioctl" and "NOTIF_SEND" in call.text


def test_supervisor(results, path, busy, folder, every):
    setting = f"supervised, supervisor of a {busy} program"
    served = Served(path, busy)
    try:
        for flavour in FLAVOURS:
            strace = Strace(served.supervisor, folder, "-e", "trace=all")
            served.seal(flavour)
            calls = calls_in(strace.stop(), served.supervisor)
            served.report()
            last = max(place for place, call in enumerate(calls) if is_lost_answer(call))
            numbers = collections.Counter()
            counts = collections.Counter(call.name for call in calls[:last + 1])
            for call in calls[:last + 1]:
                numbers[call.name] += 1
                if is_left_out(call) or numbers[call.name] not in places(counts[call.name], every):
                    continue
                # A lost answer leaves the caller waiting by definition. Interrupted, it is sent again.
                for error in ["EINTR"] if is_lost_answer(call) else errors_of(sum(numbers.values()), call, every):
                    where = (setting, flavour, call.name, numbers[call.name], error)
                    strace = Strace(served.supervisor, folder, "-e", f"trace={call.name}", "-e",
                                    f"inject={call.name}:error={error}:when={numbers[call.name]}")
                    try:
                        alive = served.seal(flavour)
                        injected = [line for line in strace.stop() if "(INJECTED)" in line]
                        report = served.report() if alive else None
                        if injected or report is None:
                            results.injected += 1
                            results.judge(where, report)
                        ended = report is None or served.supervisor not in supervisors()
                        if ended:
                            results.wrong.append(f"{where}: the supervisor or the program has ended")
                    except Hung:
                        ended = True
                        injected = [line for line in strace.stop() if "(INJECTED)" in line]
                        # Unless the calls were not made in the same order as before.
                        if not any("NOTIF_SEND" in line for line in injected):
                            results.wrong.append(f"{where}: hangs")
                    if ended:
                        served.stop()
                        served = Served(path, busy)
    finally:
        served.stop()


# ---- all ----

def skip(why):
    print(f"skipped: {why}")
    sys.exit(1 if os.environ.get("MSEAL_TESTS_MUST_RUN") == "1" else 77)


def enter_small_namespace():
    """A /proc with few processes: a seal looks at all of them."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    if os.getpid() == 1 or not shutil.which("unshare") or subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode:
        return
    os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        skip("strace is missing")
    enter_small_namespace()
    results = Results()
    settings = {f"{backend}, {busy} program": lambda folder, backend=backend, busy=busy: test_program(
        results, options.program, backend, busy, folder, options.all)
                for backend, busy in [("libc", "quiet"), ("filters", "busy"), ("supervised", "quiet"),
                                      ("supervised", "busy")]}
    settings |= {f"supervised, supervisor of a {busy} program": lambda folder, busy=busy: test_supervisor(
        results, options.program, busy, folder, options.all) for busy in ["quiet", "busy"]}
    start = time.monotonic()
    for backend, more in [("libc", ""), ("filters", ""), ("supervised", ""), ("supervised", ",coverage=all")]:
        for busy in ["quiet", "busy"]:
            test_undisturbed(results, options.program, backend, busy, more)
    print(f"undisturbed: {time.monotonic() - start:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, run in settings.items():
            if options.only not in name:
                continue
            start = time.monotonic()
            before = results.injected
            try:
                run(folder)
            except PermissionError as error:
                skip(f"strace may not be used: {error}")
            print(f"{name}: {results.injected - before} failures injected, {time.monotonic() - start:.0f} s", flush=True)
    if options.table:
        for (setting, call), outcomes in results.outcomes.items():
            print(f"{setting}: {call}: " + "; ".join(f"{count} x {one}" for one, count in sorted(outcomes.items())))
    for wrong in results.wrong:
        print("wrong:", wrong)
    if results.injected == 0:
        print("wrong: nothing was injected")
    sys.exit(1 if results.wrong or results.injected == 0 else 0)


if __name__ == "__main__":
    main()
