#!/usr/bin/env python3
"""Tries libmseal in containers and sandboxes, as root: which backend programs get there, and whether their seals hold.

    environments.py --library build/dev/shim/libmseal.so --program build/dev/tests/live/live_program [NAME ...]
    environments.py --library ... --program ... --needed    # leaves out each call that examples/containers says is needed

Prints a line for each environment. Exit status: 0 if all that could be tried are as expected, 1 if not, 77 if none could
be tried. What is not installed (.ci/setup programs installs it) is skipped, and a failure with MSEAL_TESTS_MUST_RUN=1.
What this machine does not let run at all, without libmseal, is skipped and said: a container in a container, say.
"""
import argparse
import concurrent.futures
import errno
import json
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile

# What Docker and Podman leave to a container's root.
CAPABILITIES = [f"CAP_{name}" for name in (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE "
    "SETFCAP").split()]
# In the format of Docker's own; package golang-github-containers-common.
PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")
# What users add to a profile of their own.
FRAGMENT = pathlib.Path(__file__).resolve().parent.parent.parent / "examples/containers/seccomp-fragment.json"
# What a shell, the program that it starts, and runc when it starts the shell do not go without; and clock_gettime, which is
# a system call where the vDSO does not tell the time.
OF_ANY_PROGRAM = (
    "access arch_prctl brk clock_gettime close epoll_create1 epoll_ctl epoll_pwait execve exit_group fcntl fstat fstatfs futex getcwd "
    "getdents64 getegid geteuid getgid getpid getppid getrandom gettid getuid madvise mmap mprotect mremap munmap nanosleep "
    "newfstatat openat pread64 prlimit64 read rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_yield set_robust_list "
    "set_tid_address sigaltstack tgkill uname vfork wait4 write").split()


def applies(entry, capabilities):
    """Whether a rule of the profile holds for a container with these capabilities on this machine."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    included, excluded = entry.get("includes") or {}, entry.get("excludes") or {}
    return (all(name in capabilities for name in included.get("caps") or [])
            and not any(name in capabilities for name in excluded.get("caps") or [])
            and machine in (included.get("arches") or [machine])
            and machine not in (excluded.get("arches") or []))


def seccomp_of(capabilities, unknown):
    """The profile as runc takes it; `unknown` is the errno of calls that it does not know."""
    profile = json.loads(PROFILE.read_text())
    architecture = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[platform.machine()]
    rules = []
    for entry in profile["syscalls"]:
        if not applies(entry, capabilities):
            continue
        rule = {"names": entry["names"], "action": entry["action"]}
        if entry.get("args"):
            rule["args"] = entry["args"]
        if entry.get("errnoRet") is not None:
            rule["errnoRet"] = entry["errnoRet"]
        if "mseal" not in rule["names"]:  # as before Linux 6.10
            rules.append(rule)
    others = [one["subArchitectures"] for one in profile.get("archMap", []) if one["architecture"] == architecture]
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": unknown,
            "architectures": [architecture] + sum(others, []), "syscalls": rules}


def fragment():
    """What the backend supervised takes, and what it uses besides."""
    needed, used = (entry["names"] for entry in json.loads(FRAGMENT.read_text()))
    return needed, used


def own_profile(names):
    """A profile that allows these calls alone, of the machine's own architecture alone."""
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.ENOSYS,
            "syscalls": [{"names": sorted({*OF_ANY_PROGRAM, *names}), "action": "SCMP_ACT_ALLOW"}]}


class Place:
    """What every environment is given: the library, its supervisor and the program, in a folder of their own."""

    def __init__(self, folder, library, program):
        self.folder = folder
        # By the name that programs linked to it ask for.
        self.library = library.resolve().name
        for file in (library.resolve(), library.parent / "mseal-supervisor", program):
            shutil.copy(file, folder)
            os.chmod(folder / file.name, 0o755)
        os.chmod(folder, 0o755)
        self.program = program.name

    def sealing(self, options):
        """A shell's command: the seals of a scenario, and whether a child is sealed too."""
        preload, program = self.preload(f"verbose=1,{options}"), f"{self.folder}/{self.program}"
        return f"{preload} {program} refuses_changes && {preload} {program} fork_inherits && echo held"

    def preload(self, options):
        return f"LD_PRELOAD={self.folder}/{self.library} MSEAL_OPTIONS=policy=none,{options}"


def runc(place, command, capabilities=(), profile=True, unknown=errno.ENOSYS, user_namespace=False,
         read_only=True, user=0, allowed=None):
    """`user` other than root has no capabilities. With `allowed` the profile allows these calls and few others."""
    wanted = CAPABILITIES + list(capabilities) if user == 0 else []
    bound = [folder for folder in ("/usr", "/etc", str(place.folder)) if os.path.isdir(folder)]
    with tempfile.TemporaryDirectory(prefix="libmseal-bundle") as bundle:
        root = pathlib.Path(bundle, "rootfs")
        for folder in ["/proc", "/dev", "/tmp", *bound]:
            pathlib.Path(str(root) + folder).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink("/" + name):
                os.symlink("usr/" + name, root / name)
        namespaces = [{"type": name} for name in ("pid", "mount", "ipc", "uts", "network")]
        linux = {"namespaces": namespaces}
        if user_namespace:
            os.chmod(bundle, 0o755)
            namespaces.append({"type": "user"})
            linux["uidMappings"] = linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        if profile:
            linux["seccomp"] = seccomp_of(wanted, unknown) if allowed is None else own_profile(allowed)
        config = {
            "ociVersion": "1.0.2",
            "process": {"terminal": False, "user": {"uid": user, "gid": user}, "cwd": "/",
                        "args": ["/bin/sh", "-c", command], "env": ["PATH=/usr/bin:/bin"],
                        "capabilities": {kind: wanted for kind in ("bounding", "effective", "permitted")},
                        "noNewPrivileges": profile},
            "root": {"path": "rootfs", "readonly": read_only},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}]
            + [{"destination": folder, "type": "bind", "source": folder, "options": ["rbind", "ro"]} for folder in bound],
            "linux": linux}
        pathlib.Path(bundle, "config.json").write_text(json.dumps(config))
        return run(["runc", "--root", bundle + "/state", "run", "--bundle", bundle, os.path.basename(bundle)])


def run(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def within(*prefix):
    """An environment that a program makes for the command behind it."""
    return lambda place, command: run([*prefix, "/bin/sh", "-c", command])


BUBBLEWRAP = "bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all --die-with-parent".split()
AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups".split()


def oci(**settings):
    return lambda place, command: runc(place, command, **settings)


def as_another_user(place, command):
    """By a program of a sealed tree of root, as the entry points of many images do (gosu, setpriv)."""
    tree = place.preload("backend=supervised") if "LD_PRELOAD" in command else ""
    return runc(place, f"{tree} {' '.join(AS_NOBODY)} /bin/sh -c {shlex.quote(command)}")


WITH_NEEDED = "runc, a profile of its own with what is needed"
HOLD, REFUSED = "seals hold", "mseal fails"
# name: the program it takes, what makes it, the backend that programs get there, what becomes of seals
ENVIRONMENTS = {
    "runc, default profile, unknown calls ENOSYS": ("runc", oci(), "supervised", HOLD),
    "runc, default profile, unknown calls EPERM": ("runc", oci(unknown=errno.EPERM), "supervised", HOLD),
    "runc, default profile, CAP_SYS_PTRACE": ("runc", oci(capabilities=["CAP_SYS_PTRACE"]), "supervised", HOLD),
    "runc, default profile, user namespace": ("runc", oci(user_namespace=True), "supervised", HOLD),
    "runc, default profile, ordinary user without capabilities": ("runc", oci(user=65534), "supervised", HOLD),
    "runc, default profile, a program that root starts as another user": ("runc", as_another_user, "supervised", HOLD),
    "runc, a profile of its own with the fragment": ("runc", oci(allowed=sum(fragment(), [])), "supervised", HOLD),
    WITH_NEEDED: ("runc", oci(allowed=fragment()[0]), "supervised", HOLD),
    "runc, no profile, writable root": ("runc", oci(profile=False, read_only=False), "supervised", HOLD),
    "bubblewrap, all namespaces": ("bwrap", within(*BUBBLEWRAP), "supervised", HOLD),
    "bubblewrap, ordinary user": ("bwrap", within(*AS_NOBODY, *BUBBLEWRAP), "supervised", HOLD),
    "firejail, its seccomp filter, no capabilities": ("firejail", within(
        "firejail", "--quiet", "--noprofile", "--seccomp", "--caps.drop=all"), "supervised", HOLD),
    "user, mount and pid namespaces": ("unshare", within(
        "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"), "supervised", HOLD),
    # What is sealed at start holds; who shares the memory can't be told, so nothing more is sealed.
    "pid namespace, /proc of the outer one": ("unshare", within("unshare", "--pid", "--fork"), "filters", REFUSED),
    "without /proc": ("unshare", within(
        "unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"), "filters", REFUSED),
}


def tried(start, place):
    """The backend and what became of the seals, and what was printed."""
    result = start(place, place.sealing("backend=supervised"))
    said = [line for line in result.stderr.splitlines() if line.startswith("libmseal: ")]
    found = next((line.split()[2] for line in said if line.startswith("libmseal: backend ")), "none")
    held = result.returncode == 0 and result.stdout.strip().endswith("held")
    refused = any(line.startswith("libmseal: mseal: ") for line in said)
    return (found, HOLD if held else REFUSED if refused else "seals do not hold"), result.stdout + result.stderr


def too_much_in_fragment(place):
    """What the fragment says is needed and is not."""
    needed, _ = fragment()
    with concurrent.futures.ThreadPoolExecutor(4) as executor:  # runc waits most of the time
        results = executor.map(lambda name: tried(oci(allowed=set(needed) - {name}), place)[0], needed)
        return [name for name, result in zip(needed, results) if result == ("supervised", HOLD)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--needed", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    must_run = os.environ.get("MSEAL_TESTS_MUST_RUN") == "1"
    count, failed = 0, 0
    with tempfile.TemporaryDirectory(prefix="libmseal-place", dir="/opt" if os.path.isdir("/opt") else None) as folder:
        place = Place(pathlib.Path(folder), arguments.library, arguments.program)
        for name, (tool, start, backend, outcome) in ENVIRONMENTS.items():
            if name != WITH_NEEDED if arguments.needed else arguments.names and name not in arguments.names:
                continue
            if os.geteuid() != 0 or shutil.which(tool) is None or (tool == "runc" and not PROFILE.exists()):
                print(f"{name}: skipped, it takes root and {tool} (.ci/setup programs)")
                failed += must_run
                continue
            alone = start(place, "echo held")
            if alone.stdout.strip() != "held":
                print(f"{name}: skipped, this machine does not let it run: {(alone.stderr.strip().splitlines() or ['?'])[-1]}")
                continue
            (found, became), printed = tried(start, place)
            count += 1
            print(f"{name}: backend {found}, {became}")
            if (found, became) != (backend, outcome):
                print(f"  expected: backend {backend}, {outcome}")
                print("  " + "\n  ".join(printed.strip().splitlines()))
                failed += 1
        if arguments.needed and count:
            for call in too_much_in_fragment(place):
                print(f"{FRAGMENT.name}: programs get the same without {call}")
                failed += 1
    return 1 if failed else 0 if count else 77


if __name__ == "__main__":
    sys.exit(main())
