#!/usr/bin/env python3
"""How often the start of a program meets the filter of an ancestor, and fails (libmseal-limits(7)).

    start_chance.py [--build FOLDER] [--starts N] [PROGRAM...]

Computed from real layouts: the sealed mappings of each program as an ancestor, and the places that the dynamic linker
names to the kernel when the program starts (strace). Where the kernel puts either, it chooses one of 2^28 pages for the
libraries and one of 2^28 for the program: so the share of the distances at which two of them touch is the chance. With
--starts, true is started so often below two shells, and each failure is shown.
"""

import argparse
import bisect
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE, PLACES = 4096, 1 << 28
LIBRARIES = 0x7E0000000000  # above it, libraries; below, programs
PROGRAMS = 0x550000000000
OPTIONS = ["--backend=supervised", "--policy=none", "--auto=elf"]


def split(ranges, anchors):
    """The ranges of each region, in pages from that region's anchor."""
    regions = []
    for low, high, anchor in ((PROGRAMS, LIBRARIES, anchors[0]), (LIBRARIES, 1 << 47, anchors[1])):
        regions.append([((start - anchor) // PAGE, -(-(end - anchor) // PAGE)) for start, end in ranges
                        if low <= start < high])
    return regions


def anchors_of(maps, program):
    """Where the program and the dynamic linker begin."""
    def first(part):
        return min((start for start, _, name in maps if part(name)), default=0)
    real = os.path.realpath(program)
    return first(lambda name: name == real), first(lambda name: "/ld-linux" in name)


def maps_of(process):
    found = []
    for line in pathlib.Path(f"/proc/{process}/maps").read_text().splitlines():
        fields = line.split(None, 5)
        start, end = (int(part, 16) for part in fields[0].split("-"))
        found.append((start, end, fields[5] if len(fields) > 5 else ""))
    return found


def sealed_by(tool, program):
    """What filters refuse of it: its sealed mappings, but those in the sealed area, where no program starts."""
    process = subprocess.Popen([tool, "run", *OPTIONS, "--", *program], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            time.sleep(0.05)
            said = subprocess.run([tool, "status", "--json", str(process.pid)], capture_output=True, text=True)
            if said.returncode == 0 and '"sealed"' in said.stdout:
                break
        status = json.loads(said.stdout)
        ranges = [tuple(int(part, 16) for part in one["range"].split("-"))
                  for one in status["maps"] if one["state"] != "-"]
        return split(ranges, anchors_of(maps_of(process.pid), program[0]))
    finally:
        process.kill()
        process.wait()


def named_by_start(tool, library, program):
    """What the dynamic linker names in calls that filters judge, and how many pages these have."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder, "log")
        subprocess.run(["strace", "-o", log, "-e", "trace=mmap,munmap,mprotect,execve,set_tid_address,rseq,pread64,prctl,openat",
                        "-E", f"LD_PRELOAD={library}", "-E", "MSEAL_OPTIONS=auto=off,backend=libc,policy=none", *program],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        ranges, libraries, opened = [], 0, ""
        for line in log.read_text().splitlines():
            call = re.match(r"(mmap|munmap|mprotect)\((0x[0-9a-f]+), (\d+)", line)
            if call and (call[1] != "mmap" or "MAP_FIXED" in line):
                start = int(call[2], 16)
                ranges.append((start, start + int(call[3])))
            if "/libmseal.so" in line and "openat" in line:
                opened = "libmseal"
            elif opened and line.startswith("mmap(NULL"):
                libraries = max(libraries, int(line.rsplit("= ", 1)[1], 16))
                opened = ""
        # The first object lies right below the dynamic linker's own mappings: that is near enough as an anchor.
        return split(ranges, (min((r[0] for r in ranges if PROGRAMS <= r[0] < LIBRARIES), default=0), libraries))


def chance(sealed, named):
    """Distances at which one of the first touches one of the second, of all."""
    total = 0
    for ours, theirs in zip(sealed, named):
        spans = sorted((a - d + 1, b - c) for a, b in ours for c, d in theirs)
        at = None
        for start, end in spans:
            start = start if at is None else max(start, at)
            if end > start:
                total += end - start
            at = end if at is None else max(at, end)
    return total / PLACES


def start_often(tool, count):
    """True starts below two shells with sealed objects: how many failed, and what was said."""
    script = ('i=0; failed=0; while [ $i -lt $1 ]; do /bin/true || failed=$((failed + 1)); i=$((i + 1)); done; echo $failed')
    begin = time.monotonic()
    done = subprocess.run([tool, "run", *OPTIONS, "--", "sh", "-c", f"sh -c '{script}' sh {count}; exit 0"],
                          capture_output=True, text=True)
    print(f"{count} starts below two shells: {done.stdout.strip()} failed, {time.monotonic() - begin:.0f} s")
    print(done.stderr, end="")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", default=["/bin/sh", "/bin/bash", "/usr/bin/make", "/usr/bin/python3"])
    parser.add_argument("--build", default=SOURCE / "build/dev", type=pathlib.Path)
    parser.add_argument("--starts", type=int, default=0)
    options = parser.parse_args()
    tool, library = str(options.build / "shim/mseal"), str(options.build / "shim/libmseal.so")
    waiting = {"/usr/bin/make": ["-f", "-"], "/usr/bin/python3": ["-c", "import sys; sys.stdin.read()"]}
    for program in options.programs:
        sealed = sealed_by(tool, [program, *waiting.get(program, [])])
        pages = sum(end - start for region in sealed for start, end in region)
        for child in ("/bin/true", "/bin/sh"):
            named = named_by_start(tool, library, [child])
            touched = sum(end - start for region in named for start, end in region)
            print(f"{program}, {pages} sealed pages, starts {child}, which names {touched}: {chance(sealed, named):.2e}")
    if options.starts:
        start_often(tool, options.starts)


if __name__ == "__main__":
    main()
