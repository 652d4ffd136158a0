#!/usr/bin/python3
"""Draws the pictures of the README: what `mseal report` and `mseal status` print, and the page of `mseal report --html`.
Needs the Debian packages python3-rich and chromium.

    tests/documentation/pictures.py build/release    # writes tests/documentation/*.svg and page.png
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from rich.console import Console
from rich.text import Text

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "live"))
from page_in_browser import Browser  # noqa: E402

CHANGES_LIBC = """
import ctypes
libc = ctypes.CDLL(None)
text = ctypes.cast(libc.strlen, ctypes.c_void_p).value & -4096
libc.mprotect(ctypes.c_void_p(text), 4096, 5)
"""


def draw(name, lines):
    """Commands in bold, what they print below; words that matter have colours."""
    console = Console(record=True, width=100, file=open("/dev/null", "w"), force_terminal=True, color_system="truecolor")
    for line in lines:
        text = Text(line, style="bold" if line.startswith("$ ") else "", overflow="crop", no_wrap=True)
        text.highlight_regex(r"^sealed\b", "green")
        text.highlight_regex(r"would refuse", "yellow")
        text.highlight_regex(r"to allow it: .*", "cyan")
        console.print(text)
    picture = console.export_svg(title="mseal", clear=False)
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.S)  # the reader's own fonts will do
    (HERE / f"{name}.svg").write_text(picture)


def audit(mseal, folder, script):
    """The file of events of a python3 that runs the script; its supervisor has written all of it."""
    events, log = f"{folder}/hits.jsonl", pathlib.Path(folder, "log")
    subprocess.run([mseal, "run", "--backend=supervised", "--mode=audit", f"--events={events}", f"--log={log}", "--",
                    "/usr/bin/python3", "-c", script], check=True, env={**os.environ, "CALLS": script})
    while "no process is left" not in log.read_text():
        time.sleep(0.02)
    return events


def report(mseal):
    with tempfile.TemporaryDirectory() as folder:
        events = audit(mseal, folder, CHANGES_LIBC)
        printed = subprocess.run([mseal, "report", events], check=True, capture_output=True, text=True).stdout
    draw("report", ["$ mseal run --mode=audit --events=hits.jsonl -- python3 program.py", "$ mseal report hits.jsonl",
                    *printed.splitlines()])


# A few calls from here and there, by two programs.
CALLS = """
import ctypes, os, subprocess, sys, time
libc = ctypes.CDLL(None)
text = ctypes.cast(libc.strlen, ctypes.c_void_p).value & -4096
import ssl
for index in range(9):
    libc.mprotect(ctypes.c_void_p(text + 4096 * (index * 7 % 40)), 4096, 5)
    time.sleep(0.05 * (index % 3))
    if index == 4 and len(sys.argv) == 1:
        subprocess.run([sys.executable, "-c", os.environ["CALLS"], "again"])
for line in open("/proc/self/maps"):
    if "libcrypto" in line and " r--p " in line:
        libc.madvise(ctypes.c_void_p(int(line.split("-")[0], 16)), ctypes.c_size_t(8192), 4)
        break
"""


def page(mseal):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        events, drawn = audit(mseal, folder, CALLS), pathlib.Path(folder, "page.html")
        subprocess.run([mseal, "report", f"--html={drawn}", events], check=True)
        drawn.write_text(drawn.read_text().replace(str(pathlib.Path(mseal).parent), "/usr/local/lib"))
        browser = Browser("chromium", folder)
        browser.open(drawn, 1400, "light")
        browser.picture(HERE / "page.png", 0, 1000)
        browser.end()


def status(mseal):
    with subprocess.Popen([mseal, "run", "--backend=supervised", "--", "/usr/bin/env", "LC_ALL=C", "/bin/cat"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdin.write(b"x\n")
        program.stdin.flush()
        program.stdout.readline()  # it runs
        printed = subprocess.run([mseal, "status", str(program.pid)], check=True, capture_output=True, text=True).stdout
        program.stdin.close()
    printed = printed.replace(str(pathlib.Path(mseal).parent), "/usr/local/lib")
    # Where on which disk a file lies is left out.
    lines = [re.sub(r"^(\S+ +\S+ \S{4}) \S+ \S+ \d+ *", r"\1  ", line) for line in printed.splitlines()]
    draw("status", ["$ mseal status $(pidof cat)", *lines])


if len(sys.argv) != 2:
    sys.exit(__doc__)
tool = str(pathlib.Path(sys.argv[1]).resolve() / "shim" / "mseal")
report(tool)
status(tool)
page(tool)
