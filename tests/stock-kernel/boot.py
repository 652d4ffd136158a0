#!/usr/bin/env python3
"""Runs a command on one of Debian's own kernels, in qemu, over this machine's files.

The guest sees the root of this machine read-only under a memory overlay, so what it writes vanishes; it has no
network. One of another architecture sees the present directory, on files made for it (guest_root.py). It runs the command as root in the present directory, with the MSEAL_* variables of the environment. What
the command prints comes out here; its exit status is this program's.

    tests/stock-kernel/boot.py -- uname -r
    tests/stock-kernel/boot.py --kernel 5.10 -- ctest --test-dir build/dev -LE host
    tests/stock-kernel/boot.py --image arch/x86/boot/bzImage -- uname -r

Other exit statuses: 77 if something is missing (1 with MSEAL_TESTS_MUST_RUN=1), 124 past a time limit, 125 if the
guest did not come up. How long the work takes depends on what else this machine does, so there is no limit for the whole
unless --timeout sets one; a guest that says nothing for --silence seconds is given up. Tests in the guest get more time
(MSEAL_TESTS_PATIENCE).
"""
import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import guest_image
import guest_root
from debian_packages import Missing, run

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED, TIMED_OUT, NOT_UP = 77, 124, 125

# no_timer_check: on a busy machine the timer comes late, and the kernel panics ("IO-APIC + timer doesn't work").
QEMU = {
    "amd64": ["qemu-system-x86_64", "-M", "q35", "-append", "console=ttyS0 panic=-1 quiet no_timer_check syscall.x32=y"],
    "arm64": ["qemu-system-aarch64", "-M", "virt", "-append", "console=ttyAMA0 panic=-1 quiet"],
}
CPU = {"amd64": "max,la57=off", "arm64": "max,pauth-impdef=on"}
QEMU_PACKAGE = {"amd64": "qemu-system-x86", "arm64": "qemu-system-arm"}


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", default="6.1", choices=sorted(guest_image.KERNELS), help="default: 6.1")
    parser.add_argument("--image", type=pathlib.Path, metavar="FILE",
                        help="another kernel, with drivers for virtio, 9p and overlay built in")
    parser.add_argument("--arch", default="amd64", choices=sorted(QEMU))
    parser.add_argument("--cpu", help="qemu's model of the processor (default: all that it knows)")
    parser.add_argument("--accel", default="tcg", choices=["tcg", "kvm"])
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", type=int, default=2048, help="MiB")
    parser.add_argument("--timeout", type=int, help="seconds for the whole (default: no limit)")
    parser.add_argument("--silence", type=int, default=600, help="seconds without a word from the guest (default: 600)")
    parser.add_argument("--append", default="", help="more words for the kernel's command line")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def write_control(folder, command, shares):
    """What the guest's init reads: a script to run in the chroot, and where the shared folders belong."""
    (folder / "shares").write_text("".join(f"share{index} {path}\n" for index, path in enumerate(shares)))
    lines = ["export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in os.environ.items() if name.startswith("MSEAL_")]
    lines.append("export MSEAL_TESTS_PATIENCE=${MSEAL_TESTS_PATIENCE:-5}")
    lines += [f"cd {shlex.quote(os.getcwd())}", f"exec {shlex.join(command)}"]
    (folder / "command").write_text("\n".join(lines) + "\n")


def share(path, tag, more=""):
    return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap{more}"]


class Copier(threading.Thread):
    """Copies what the guest says, and knows when it last said something."""

    def __init__(self, source, target):
        super().__init__()
        self.source, self.target, self.heard = source, target, time.monotonic()

    def run(self):
        with os.fdopen(self.source, "rb", 0) as stream:
            while chunk := stream.read(65536):
                self.heard = time.monotonic()
                self.target.buffer.write(chunk)
                self.target.flush()


def wait(process, readers, arguments):
    """None, or why the guest was given up."""
    start = time.monotonic()
    while True:
        try:
            process.wait(1)
            return None
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if arguments.timeout and now - start > arguments.timeout:
                return f"stopped after {arguments.timeout} s"
            if now - max(reader.heard for reader in readers) > arguments.silence:
                return f"stopped: it said nothing for {arguments.silence} s"


def boot(arguments, kernel, initrd, root, shares, control, console):
    qemu = list(QEMU[arguments.arch])
    qemu[-1] += " " + arguments.append
    program = shutil.which(qemu[0])
    if program is None:
        raise Missing(f"{qemu[0]} (Debian package {QEMU_PACKAGE[arguments.arch]})")
    qemu += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel",
             "tcg,thread=multi" if arguments.accel == "tcg" else "kvm",
             "-cpu", arguments.cpu or CPU[arguments.arch], "-smp", str(arguments.cpus), "-m", str(arguments.memory),
             "-kernel", str(kernel), "-initrd", str(initrd), "-serial", f"file:{console}",
             "-device", "virtio-serial-pci"]
    readers, writers = [], []
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        source, sink = os.pipe()
        # qemu empties a file that it is given by name; to a pipe that does nothing.
        qemu += ["-chardev", f"file,id={name},path=/proc/self/fd/{sink}",
                 "-device", f"virtserialport,chardev={name},name={name}"]
        readers.append(Copier(source, stream))
        writers.append(sink)
    qemu += share(root, "root", ",readonly=on") + share(control, "control")
    for index, path in enumerate(shares):
        qemu += share(path, f"share{index}", ",readonly=on")
    process = subprocess.Popen(qemu, stdin=subprocess.DEVNULL, pass_fds=writers)
    for sink in writers:
        os.close(sink)
    for reader in readers:
        reader.start()
    given_up = wait(process, readers, arguments)
    if given_up:
        process.kill()
        process.wait()
    for reader in readers:
        reader.join()
    if given_up:
        print(f"stock-kernel: {given_up}", file=sys.stderr)
        return TIMED_OUT
    status = control / "status"
    if status.exists():
        return int(status.read_text())
    print(f"stock-kernel: the guest did not come up; its console:\n{console.read_text(errors='replace')[-3000:]}",
          file=sys.stderr)
    return NOT_UP


def main():
    arguments = options()
    try:
        native = arguments.arch == run(["dpkg", "--print-architecture"]).strip()
        root, shares = ("/", []) if native else (guest_root.make(arguments.arch), [os.getcwd()])
        with tempfile.TemporaryDirectory(prefix="libmseal-stock-kernel-") as name:
            folder = pathlib.Path(name)
            init = HERE / "guest-init"
            kernel, initrd = (guest_image.with_drivers(arguments.image, arguments.arch, init, folder)
                              if arguments.image else
                              guest_image.prepare(arguments.kernel, arguments.arch, init))
            control = folder / "control"
            control.mkdir()
            write_control(control, arguments.command, shares)
            return boot(arguments, kernel, initrd, root, shares, control, folder / "console")
    except Missing as missing:
        must = os.environ.get("MSEAL_TESTS_MUST_RUN") == "1"
        print(f"stock-kernel: cannot run here{', and must' if must else ''}: {missing}", file=sys.stderr)
        return 1 if must else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
