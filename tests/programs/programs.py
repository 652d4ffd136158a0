#!/usr/bin/env python3
"""Real programs at their own work, under the library: what is refused, and whether they still do it.

    programs.py [--table] [--runs N] [NAME...]

Each script of work/ is run by itself, then under mode=audit and mode=enforce, with auto=elf and auto=data, in an empty
folder. What it prints and how it ends must be the same every time. Without names: all of them, each a test; exit status 1
if one differs, 77 if a program is missing (1 with MSEAL_TESTS_MUST_RUN=1). --table measures instead, and writes the
table of libmseal-tests.7: the wall time is the median of paired runs with and without the library.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))
from needs import needs_sight_of_other_users  # noqa: E402

# The program whose sealed memory is shown, what else must be there, how it says its version, what it needs where its static
# data is sealed, and the status with which an audit of it ends.
Program = collections.namedtuple("Program", "main needs version data audit_status", defaults=[(), "--version", (), 0])

PROGRAMS = {
    "bash": Program("/bin/bash"),
    "coreutils": Program("/usr/bin/make", ["make", "xargs"]),
    "python3": Program("/usr/bin/python3", ["/usr/lib/python3/dist-packages/numpy"]),
    "perl": Program("/usr/bin/perl", version="-e print $^V"),
    "git": Program("/usr/bin/git"),
    "sqlite3": Program("/usr/bin/sqlite3"),
    "compilers": Program("/usr/bin/g++", ["g++", "clang++"]),
    "redis": Program("/usr/bin/redis-server", ["redis-cli", "redis-benchmark"]),
    "nginx": Program("/usr/sbin/nginx", ["wrk"], "-v"),
    "postgres": Program("/usr/lib/postgresql", ["/usr/lib/postgresql"]),
    "node": Program("/usr/bin/node"),
    "java": Program("/usr/bin/java", ["javac"]),
    "chromium": Program("/usr/lib/chromium/chromium", data=["--mutable=chromium"]),  # it protects its own data
    "gdb": Program("/usr/bin/gdb"),
    "strace": Program("/usr/bin/strace"),
    "valgrind": Program("/usr/bin/valgrind", audit_status=127),  # no seccomp in there
}

Outcome = collections.namedtuple("Outcome", "status out err seconds refusals sealed")


# What the dynamic linker says where a start meets an ancestor's filter, by chance (libmseal-limits(7)).
MET_FILTER = re.compile(r"error while loading shared libraries: .*(failed to map segment|cannot map zero-fill pages|"
                        r"cannot change memory protections|cannot apply additional memory protection)"
                        r"|cannot be preloaded .*: ignored")


def refusals_in(path):
    """Counts what was refused, by call and object."""
    found = collections.Counter()
    if path.exists():
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event.get("verdict") in ("refused", "would refuse"):
                found[f"{event['program']}: {event['call']} of {event['sealed']['object'] or 'anonymous memory'}"] += 1
    return found


def size_of(text):
    start, end = (int(part, 16) for part in text.split("-"))
    return end - start


class Sampler(threading.Thread):
    """Looks at the first process that runs the program: how much of it is sealed."""

    def __init__(self, tool, main):
        super().__init__(daemon=True)
        self.tool, self.main, self.done, self.sealed = tool, main, threading.Event(), None

    def run(self):
        while not self.done.wait(0.02) and not self.sealed:
            for entry in pathlib.Path("/proc").iterdir():
                if not entry.name.isdigit():
                    continue
                try:
                    program = os.readlink(entry / "exe")
                except OSError:
                    continue
                if program != os.path.realpath(self.main) and not (self.main.endswith("postgresql") and program.endswith("/postgres")):
                    continue
                said = subprocess.run([self.tool, "status", "--json", entry.name], capture_output=True, text=True)
                if said.returncode == 0:
                    status = json.loads(said.stdout)
                    sealed = [m for m in status["maps"] if m["state"] != "-"]
                    # Not the seals' own table, which is sealed as well.
                    own = sum(size_of(m["range"]) for m in sealed if "memfd:libmseal" in m["name"])
                    objects = {m["name"] for m in sealed if m["name"].startswith("/") and "memfd:libmseal" not in m["name"]}
                    self.sealed = (status["sealed_bytes"] - own, len(objects))
                    break


def run(name, tool, options=None, sample=False):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        work = pathlib.Path(folder, "work")
        work.mkdir()
        events = pathlib.Path(folder, "events")
        command = ["bash", str(HERE / "work" / f"{name}.sh")]
        if options is not None:
            command = [tool, "run", *options, f"--events={events}", "--policy=none", "--", *command]
        sampler = Sampler(tool, PROGRAMS[name].main) if sample else None
        if sampler:
            sampler.start()
        start = time.monotonic()
        try:
            done = subprocess.run(command, cwd=work, env={**os.environ, "SOURCE": str(SOURCE)}, capture_output=True,
                                  stdin=subprocess.DEVNULL, timeout=250 * int(os.environ.get("MSEAL_TESTS_PATIENCE", "1")))
            status, out, err = done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired as late:
            status, out, err = "past its time", (late.stdout or b"").decode(errors="replace"), (late.stderr or b"").decode(errors="replace")
        seconds = time.monotonic() - start
        if sampler:
            sampler.done.set()
            sampler.join()
        if options is not None:
            time.sleep(0.1)  # the supervisor may be a moment behind
        return Outcome(status, out, err, seconds, refusals_in(events), sampler and sampler.sealed)


def options_for(name, mode, auto):
    needed = PROGRAMS[name].data if auto == "data" and mode == "enforce" else ()
    return ["--backend=supervised", f"--mode={mode}", f"--auto={auto}", *needed]


def missing(name):
    program = PROGRAMS[name]
    return [one for one in [program.main, *program.needs] if not (os.path.exists(one) or shutil.which(one))]


def test(name, tool):
    """True if the program does under the library what it does without."""
    plain = run(name, tool)
    good = plain.status == 0
    print(f"{name}: alone, status {plain.status}, {plain.seconds:.1f} s" + ("" if good else f"\n{plain.out}{plain.err}"))
    for mode in ("audit", "enforce"):
        if mode == "audit" and name == "postgres" and not needs_sight_of_other_users("to audit postgres as another user"):
            continue
        for auto in ("elf",) if mode == "audit" else ("elf", "data"):
            under = run(name, tool, options_for(name, mode, auto))
            wanted = PROGRAMS[name].audit_status if mode == "audit" else 0
            met = MET_FILTER.search(under.err)
            if met:
                print(f"{name}: {mode}, {auto}: a start met a filter, so once more: {met.group()}")
                under = run(name, tool, options_for(name, mode, auto))
            same = under.status == wanted and (under.out == plain.out or wanted != 0)
            good = good and same
            print(f"{name}: {mode}, {auto}: {'the same' if same else 'DIFFERENT'}, {under.seconds:.1f} s, "
                  f"{sum(under.refusals.values())} refusals")
            for what, count in under.refusals.most_common(20):
                print(f"    {count} x {what}")
            if not same:
                print(f"status {under.status}\n--- said\n{under.out}--- wanted\n{plain.out}--- complained\n{under.err[-4000:]}")
            elif "libmseal" in under.err:
                print(under.err[-2000:])
    return good


def version_of(name):
    main = PROGRAMS[name].main
    if name == "postgres":
        main = sorted(pathlib.Path(main).glob("*/bin/postgres"))[-1]
    said = subprocess.run([main, *PROGRAMS[name].version.split(" ", 1)], capture_output=True, text=True)
    words = (said.stdout + said.stderr).translate(str.maketrans("(),/=", "     ")).split()
    return next((word.lstrip("v") for word in words if word.lstrip("v")[:1].isdigit() and "." in word), "?")


def row(name, tool, runs):
    results = {}
    for auto in ("elf", "data"):
        audit = run(name, tool, options_for(name, "audit", auto))
        enforce = run(name, tool, options_for(name, "enforce", auto), sample=True)
        ratios = []
        for _ in range(runs):
            plain = run(name, tool)
            under = run(name, tool, options_for(name, "enforce", auto))
            ratios.append(under.seconds / plain.seconds)
        same = (enforce.status, enforce.out) == (plain.status, plain.out)
        sealed = f"{enforce.sealed[0] / 1048576:.1f}, {enforce.sealed[1]}" if enforce.sealed else "?"
        results[auto] = [sealed, str(sum(audit.refusals.values())),
                         f"{statistics.median(ratios):.2f}" if same else "the outcome differs"]
    pairs = [f"{a} / {b}" if a != b else a for a, b in zip(results["elf"], results["data"])]
    print("\t".join([name, version_of(name), *pairs]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--build", default=SOURCE / "build/dev", type=pathlib.Path, help="a build folder")
    parser.add_argument("--table", action="store_true", help="measure, and write a table")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs for the table")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in PROGRAMS]
    if unknown:
        parser.error(f"no program {unknown[0]}; there are {', '.join(PROGRAMS)}")
    good, skipped = True, False
    with tempfile.TemporaryDirectory() as folder:  # a build folder may be closed to the users that programs become
        os.chmod(folder, 0o755)
        for file in ("mseal", "libmseal.so", "mseal-supervisor"):
            shutil.copy(options.build / "shim" / file, folder)
        tool = os.path.join(folder, "mseal")
        for name in options.names or PROGRAMS:
            if lacking := missing(name):
                print(f"skipped: {name}: {', '.join(lacking)} is missing")
                skipped = True
            elif options.table:
                row(name, tool, options.runs)
            else:
                good = test(name, tool) and good
    if not good or (skipped and os.environ.get("MSEAL_TESTS_MUST_RUN") == "1"):
        sys.exit(1)
    sys.exit(77 if skipped else 0)


if __name__ == "__main__":
    main()
