#!/usr/bin/env python3
"""Runs services under a real systemd, as root: what they get with the drop-ins of examples/systemd, and whether seals hold.

    services.py --library build/dev/shim/libmseal.so --program build/dev/tests/live/live_program

This machine's systemd is started in namespaces of its own, on a copy-on-write view of the file system, with only the units
of this test. Prints a line for each unit. Exit status: 0 if all are as expected, 1 if not, 77 if it can't be done here (1
with MSEAL_TESTS_MUST_RUN=1).
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

DROP_INS = pathlib.Path(__file__).resolve().parent.parent.parent / "examples/systemd"
SYSTEMD = "/lib/systemd/systemd"

# In new namespaces, with a folder for mounts and one for results. `ld.so.cache` gets the library as an installation does.
BOOT = """
cd /
mount -t tmpfs -o mode=755 none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=1777 none tmp
mount -t tmpfs -o mode=755 none dev
for one in null zero full random urandom tty; do touch dev/$one; mount --bind /dev/$one dev/$one; done
mkdir dev/pts dev/shm results
mount -t devpts -o newinstance,ptmxmode=666 none dev/pts
mount --bind "$2" results
touch dev/console
mount --bind results/console dev/console
rm -rf etc/systemd/system/* etc/ld.so.preload etc/libmseal
cp -r results/units/. etc/systemd/system
cp -P results/files/lib* results/files/mseal-supervisor usr/local/lib
cp results/files/mseal results/files/*_program usr/local/bin
chroot . ldconfig
exec env -i container=libmseal PATH="$PATH" chroot . "$3" --unit=finish.service --log-target=null --show-status=0
"""

FINISH = """
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service {units}
After=systemd-journald.service {units}
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'systemctl show -p Id -p ExecMainStatus -p Result {units} >/results/ends'
"""

# A unit of Type=exec counts as started before it listens.
FETCH = """
import sys
import time
import urllib.request
for left in reversed(range(300)):
    try:
        print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", timeout=30).read().decode())
        break
    except OSError:
        if left == 0:
            raise
        time.sleep(0.1)
"""
AUDITED = """
pid /run/nginx-audited.pid;
events {}
http { server { listen 8080; return 200 "Welcome to nginx"; } }
"""

# What the second line takes out is in @system-service of newer versions of systemd.
HARDENED = ["NoNewPrivileges=yes", "ProtectProc=invisible", "ProcSubset=pid", "PrivateTmp=yes", "MemoryDenyWriteExecute=yes",
            "SystemCallFilter=@system-service\n"
            "SystemCallFilter=~seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"]
FORBIDDEN = ["SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @privileged @raw-io @reboot @resources @swap"]
WEAK = "libmseal: backend libc instead of supervised: a seccomp filter of a service or sandbox kills programs"


class Unit:
    """`drop_in`: of examples/systemd, whose options are added to; `said`: what standard error must hold."""

    def __init__(self, name, drop_in, settings=(), scenario="refuses_changes", options="backend=supervised,verbose=1",
                 result="success", said=("libmseal: backend supervised on Linux",), command=None, kind="oneshot", preload=""):
        self.name, self.drop_in, self.settings, self.options, self.preload = name, drop_in, settings, options, preload
        self.result, self.said, self.kind = result, said, kind
        self.command = command or f"/usr/local/bin/live_program {scenario}"

    def write(self, folder):
        log = f"StandardOutput=append:/results/{self.name}\nStandardError=inherit\n"
        (folder / f"{self.name}.service").write_text(
            "[Unit]\nDefaultDependencies=no\n[Service]\n" + f"Type={self.kind}\nExecStart={self.command}\n" + log +
            "\n".join(self.settings) + "\n")
        own = folder / f"{self.name}.service.d"
        own.mkdir()
        preload, inherited = self.preload or "libmseal.so", "strict=1"
        if self.drop_in:
            text = (DROP_INS / self.drop_in).read_text()
            inherited = re.search(r"^Environment=MSEAL_OPTIONS=(.*)$", text, re.M).group(1)
            (own / "libmseal.conf").write_text(text)
            preload = self.preload  # instead of the drop-in's, or nothing
        (own / "options.conf").write_text(
            "[Service]\n" + (f"Environment=LD_PRELOAD={preload}\n" if preload else "") +
            f"Environment=MSEAL_OPTIONS={inherited},{self.options}\n")


# Lists what a program may change of itself: no text and no constants.
SEALED_AT_START = {"command": "/usr/local/bin/own_data_program", "said": ("libmseal: backend ", "\ndata bss mutable")}
UNITS = [
    Unit("plain", "plain.conf"),
    # As the drop-in is: by what this kernel has.
    Unit("plain-any", "plain.conf", **{**SEALED_AT_START, "options": "verbose=1"}),
    Unit("library-missing", "plain.conf", preload="/usr/lib/no/libmseal.so", result="exit-code", said=("cannot be preloaded",)),
    Unit("no-new-privileges", "plain.conf", ["NoNewPrivileges=yes"]),
    Unit("protect-proc", "plain.conf", ["ProtectProc=invisible"]),
    Unit("proc-subset", "plain.conf", ["ProcSubset=pid"]),
    Unit("private-tmp", "plain.conf", ["PrivateTmp=yes"]),
    Unit("deny-write-execute", "plain.conf", ["MemoryDenyWriteExecute=yes"]),
    Unit("ordinary-user", "plain.conf", ["User=nobody", "CapabilityBoundingSet="]),
    # What is sealed at start. Later seals wait for the hidden processes of others (libmseal-services(7)).
    Unit("ordinary-user-alone", "plain.conf", ["User=games", "ProtectProc=invisible"], **SEALED_AT_START),
    # A filter that kills callers of what the supervisor would like to call: kcmp, ptrace, setpriority.
    Unit("forbidden-groups", "plain.conf", FORBIDDEN),
    Unit("forbidden-groups-all-calls", "plain.conf", FORBIDDEN, options="backend=supervised,verbose=1,coverage=all"),
    Unit("all-but-filter", "plain.conf", HARDENED[:-1], "threads_are_covered"),
    # A filter that kills. Without the drop-in the service runs, but raw system calls pass.
    Unit("filter", None, HARDENED[-1:], options="verbose=1", result="signal", said=(WEAK,)),
    Unit("filter-check", None, HARDENED[-1:], options="verbose=1", command="/usr/local/bin/mseal check", result="exit-code",
         said=("seccomp filters      no: a filter kills programs that call seccomp(2)", "Landlock             no: a filter kills", WEAK)),
    Unit("filter-required", "plain.conf", HARDENED[-1:], options="verbose=1", result="exit-code",
         said=("require=supervised cannot be met", "the program is not started")),
    # The drop-in for units with a filter, and what each of its lines is for.
    Unit("hardened", "hardened.conf", HARDENED),
    Unit("hardened-threads", "hardened.conf", HARDENED, "threads_are_covered"),
    Unit("hardened-user", "hardened.conf", HARDENED + ["User=daemon", "CapabilityBoundingSet=", "RestrictNamespaces=yes",
                                                       "SystemCallArchitectures=native", "ProtectSystem=strict"],
         **SEALED_AT_START),
    Unit("hardened-writes", "hardened.conf", HARDENED[:2] + HARDENED[3:],
         options="backend=supervised,verbose=1,harden=ptrace+process_vm_writev+userfaultfd+proc_mem"),
    Unit("hardened-all-calls", "hardened.conf", HARDENED, options="backend=supervised,verbose=1,coverage=all"),
]

# Events of a service go to the journal by the units of examples/systemd, and come back: the commands of libmseal-services(7).
FLEET = """
set -u
cd /results
for try in $(seq 100); do
  journalctl --sync
  journalctl -o cat -t mseal-events >web1.jsonl
  [ "$(grep -c verdict web1.jsonl)" -lt 4 ] || break
  sleep 0.1
done
journalctl -o cat -t mseal-events | mseal report - >fleet-one; echo "report: $?"
journalctl -o cat -t mseal-events | mseal report --exit-code - >fleet-code; echo "report --exit-code: $?"
journalctl -o cat -t mseal-events --until yesterday | mseal report --exit-code -; echo "nothing: $?"
sed 's/"host":"[^"]*"/"host":"web2"/' web1.jsonl >web2.jsonl
mseal report --exit-code web1.jsonl web2.jsonl >fleet-two; echo "two hosts: $?"
"""
FLEET_UNITS = [
    Unit("events", "plain.conf", command="/usr/local/bin/own_data_program", said=("data bss mutable",), options=(
        "backend=supervised,mode=audit,auto=data,events=/run/mseal-events"),
        settings=["User=nobody", "[Unit]", "Wants=mseal-events.socket", "After=mseal-events.socket"]),
    Unit("fleet", None, ["[Unit]", "After=events.service"], command="/bin/sh /results/files/fleet.sh", said=(
        "report: 0", "report --exit-code: 1", "nothing: 0", "two hosts: 1")),
]

# A server with workers that run for another user: as libmseal-services(7) has it, sealed, and in an audit before that.
NGINX_SETTINGS = HARDENED + ["CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_NET_BIND_SERVICE CAP_CHOWN CAP_DAC_OVERRIDE"]
NGINX = [
    Unit("nginx", "hardened.conf", NGINX_SETTINGS + [
        "ExecStartPost=+/bin/sh -c 'python3 /results/files/fetch.py 80 >/results/nginx-page'",
        "ExecStartPost=+/bin/sh -c 'mseal status --json $MAINPID >/results/nginx-status'"],
        command="/usr/sbin/nginx -g \"daemon off;\"", kind="exec"),
    Unit("nginx-audited", "hardened.conf", NGINX_SETTINGS + [
        "ExecStartPost=+/bin/sh -c 'python3 /results/files/fetch.py 8080 >/results/nginx-audited-page'"],
        command="/usr/sbin/nginx -c /results/files/audited.conf -g \"daemon off;\"", kind="exec",
        options="backend=supervised,verbose=1,mode=audit,events=/results/hits.jsonl"),
]


def cannot(why):
    print(f"skipped: {why}")
    sys.exit(1 if os.environ.get("MSEAL_TESTS_MUST_RUN") == "1" else 77)


def unified_hierarchy():
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return pathlib.Path(line.split()[1])
    return cannot("no cgroup2 is mounted")


def boot(units, given, folder):
    """Runs the units to their end; a result and an exit status for each."""
    results = folder / "results"
    for name in ("units", "files"):
        (results / name).mkdir(parents=True)
    (folder / "mounts").mkdir()
    (results / "console").touch()
    library = given.library.resolve()
    shutil.copy(library, results / "files/libmseal.so.0")
    (results / "files/libmseal.so").symlink_to("libmseal.so.0")
    for file in (library.parent / "mseal-supervisor", library.parent / "mseal", given.program, given.program.parent / "own_data_program"):
        shutil.copy(file, results / "files")
    for unit in units:
        unit.write(results / "units")
    (results / "files/fetch.py").write_text(FETCH)
    (results / "files/audited.conf").write_text(AUDITED)
    (results / "files/fleet.sh").write_text(FLEET)
    for file in DROP_INS.glob("mseal-events.*"):
        shutil.copy(file, results / "units")
    (results / "units/finish.service").write_text(FINISH.format(units=" ".join(f"{unit.name}.service" for unit in units)))
    # systemd takes the cgroup that it starts in for its root.
    group = unified_hierarchy() / f"libmseal-{os.getpid()}"
    group.mkdir()
    try:
        command = ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--net", "--kill-child", "sh", "-euc", BOOT,
                   "boot", str(folder / "mounts"), str(results), SYSTEMD]
        ran = subprocess.run(command, preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    finally:
        for _ in range(50):
            left = sorted(group.glob("**/"), reverse=True)
            try:
                for one in left:
                    one.rmdir()
                break
            except OSError:
                time.sleep(0.1)
    if not (results / "ends").exists():
        if "mount:" in ran.stdout or "unshare:" in ran.stdout:
            cannot(ran.stdout.strip())
        sys.exit(f"systemd did not come to its end: {ran.stdout}{(results / 'console').read_text()}")
    ends = {}
    for entry in (results / "ends").read_text().split("\n\n"):
        values = dict(line.partition("=")[::2] for line in entry.strip().splitlines())
        ends[values["Id"].removesuffix(".service")] = values
    return ends


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--library", required=True, type=pathlib.Path)
    parser.add_argument("--program", required=True, type=pathlib.Path)
    given = parser.parse_args()
    if os.geteuid() != 0:
        cannot("it takes root")
    if not os.path.exists(SYSTEMD):
        cannot("systemd is not installed")
    units = UNITS + FLEET_UNITS
    if shutil.which("nginx", path="/usr/sbin"):
        units += NGINX
    elif os.environ.get("MSEAL_TESTS_MUST_RUN") == "1":
        cannot("nginx is not installed")
    status = 0
    with tempfile.TemporaryDirectory(prefix="libmseal-services-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        ends = boot(units, given, folder)
        for unit in units:
            result, said = ends[unit.name]["Result"], (folder / "results" / unit.name).read_text()
            wrong = [] if result == unit.result else [f"it ends with {result}, not {unit.result}"]
            wrong += [f"it does not say: {wanted}" for wanted in unit.said if wanted not in said]
            if unit.result == "success":
                wrong += [f"it says: {line}" for line in said.splitlines() if "does not hold" in line]
            if unit.name == "fleet":
                wrong += wrong_with_fleet(folder / "results")
            if unit in NGINX:
                wrong += wrong_with_server(unit, folder / "results")
            print(f"{'FAILS' if wrong else 'ok':6} {unit.name}: {unit.drop_in or 'no drop-in'}, {' '.join(unit.settings).replace(chr(10), ' ') or 'no settings'}")
            if wrong:
                status = 1
                print("\n".join(wrong) + "\n" + said)
    return status


def wrong_with_fleet(results):
    """What came back from the journal is what was written, of one host and of two."""
    one, two = ((results / name).read_text() if (results / name).exists() else "" for name in ("fleet-one", "fleet-two"))
    wrong = [] if "events: 4, groups: 4" in one else ["the journal does not have the four events: " + one]
    wrong += [] if "events: 8, groups: 4" in two and "web2 (1)" in two else ["events of two hosts are not put together: " + two]
    return wrong


def wrong_with_server(unit, results):
    """It serves its page; the supervisor says what is sealed of it, and writes what an audit finds."""
    wrong = []
    page = results / f"{unit.name}-page"
    if not page.exists() or "Welcome to nginx" not in page.read_text():
        wrong.append("it does not serve its page")
    if unit.name == "nginx" and '"sealed"' not in (results / "nginx-status").read_text():
        wrong.append("mseal status does not know it: " + (results / "nginx-status").read_text())
    if unit.name == "nginx-audited" and not (results / "hits.jsonl").exists():
        wrong.append("there is no file of events")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
