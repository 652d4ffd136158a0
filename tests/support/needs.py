"""The counterpart of needs.h: what not every machine has, found out by trying it."""
import os
import subprocess
import sys


def needs(present, what, name=""):
    """Whether the test can go on. `name` is what MSEAL_TESTS_WITHOUT calls it."""
    if present:
        return True
    print(f"skipped: {what}", flush=True)
    expected = name and name in os.environ.get("MSEAL_TESTS_WITHOUT", "")
    if os.environ.get("MSEAL_TESTS_MUST_RUN") == "1" and not expected:
        sys.exit(1)
    return False


def needs_map_files():
    """`mseal status` reads the table of seals there."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        mapped = next(line.split()[0] for line in maps if " /" in line)
    start, end = (int(address, 16) for address in mapped.split("-"))
    try:
        os.close(os.open(f"/proc/self/map_files/{start:x}-{end:x}", os.O_RDONLY))
        present = True
    except PermissionError:
        present = False
    return needs(present, "CAP_CHECKPOINT_RESTORE, to open files of /proc/PID/map_files", "checkpoint")


def needs_sight_of_other_users(what):
    """The supervisor of a root without CAP_SYS_PTRACE does not serve programs of other users."""
    present = True
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            other.stdin.write(b"x")  # comes back when it has the other user
            other.stdin.flush()
            other.stdout.read(1)
            try:
                os.close(os.open(f"/proc/{other.pid}/mem", os.O_RDONLY))
            except PermissionError:
                present = False
            other.stdin.close()
    return needs(present, f"CAP_SYS_PTRACE, {what}", "ptrace")
