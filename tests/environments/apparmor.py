#!/usr/bin/env python3
"""Runs a program under AppArmor profiles with and without abstractions/libmseal, as root: which backend it gets, what is
said, whether its seals hold, and what the kernel denied.

    apparmor.py --build build/dev [NAME ...]  # all cases, or those of these names
    apparmor.py --build build/dev --needed    # leaves out each rule of the abstraction, and says which change nothing

What the abstraction names is laid below the build's prefix, in a mount namespace of its own. The profile is taken out again. Prints a line for
each case. Exit status: 0 if all are as expected, 1 if not, 77 if it can't be done here (1 with MSEAL_TESTS_MUST_RUN=1, unless
MSEAL_TESTS_WITHOUT has apparmor).
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

POLICY = pathlib.Path("/sys/kernel/security/apparmor")
ENABLED = pathlib.Path("/sys/module/apparmor/parameters/enabled")
NAME = "libmseal-test"

# What the programs need without libmseal. No abstractions/base: what it has, the abstraction must not lack.
PROFILE = """
include <tunables/global>
profile {name} {{
  {include}
  /usr/lib{{,32,64}}/** mr,
  /etc/{{ld.so.cache,locale.alias,nsswitch.conf,passwd,group}} r,
  /dev/null rw,
  {program} mrix,
  /usr/bin/* mrix,
  @{{PROC}}/sys/kernel/cap_last_cap r,
  {more}
}}
"""
# What a profile has without knowing of libmseal.
UNAWARE = "include <abstractions/base>\n  {libdir}/libmseal.so* mr,"
MAY_LACK = "access denied (EACCES): the AppArmor profile may lack <abstractions/libmseal>"
STARTS_NONE = "libmseal: backend filters instead of supervised: the supervisor could not be started ({found}), " + MAY_LACK
MAY_NOT_LOOK = "libmseal: backend filters instead of supervised: the supervisor may not look at this program: "
SUPERVISED = "libmseal: backend supervised on Linux"
# What the supervisor asks for and does without, as libmseal-services(7) says.
DONE_WITHOUT = ('capname="sys_resource"', 'capname="sys_nice"', 'capname="sys_ptrace"', "/oom_score_adj", 'operation="ptrace"')


class Case:
    """`said`: all lines of the library. `rules`: of the profile, beside what the program needs."""

    def __init__(self, name, said, abstraction=True, rules="", options="", command="{program} refuses_changes", status=0,
                 how=(), policy=None):
        self.name, self.said, self.abstraction, self.rules, self.options = name, said, abstraction, rules, options
        self.command, self.status, self.how, self.policy = command, status, list(how), policy


AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
CASES = [
    Case("with the abstraction, events in a file", [SUPERVISED], options=",events={libdir}/hits.jsonl",
         rules="{libdir}/hits.jsonl w,"),
    # To compare its memory with that of other sealed programs, which the other tests start meanwhile.
    Case("threads", [SUPERVISED], command="{program} threads_are_covered", rules="ptrace read,"),
    Case("a tree of programs", [SUPERVISED, SUPERVISED], command="/usr/bin/env {program} fork_inherits", rules="ptrace read,"),
    Case("an ordinary user, no_new_privs", [SUPERVISED], how=[*AS_NOBODY, "--no-new-privs"],
         rules="capability setuid,\n  capability setgid,\n  ptrace read,"),
    Case("a policy file", ["libmseal: require=kernel cannot be met"], policy='require = "kernel"\n', status=127,
         command="/usr/bin/true"),
    Case("without the abstraction", [STARTS_NONE], abstraction=False, rules=UNAWARE, command="/usr/bin/true"),
    Case("without it, required", ["libmseal: require=supervised cannot be met: the supervisor could not be started ({found}), " +
                                  MAY_LACK],
         abstraction=False, rules=UNAWARE, options=",require=supervised", command="/usr/bin/true", status=127),
    Case("without it, but the supervisor may run", [MAY_NOT_LOOK], abstraction=False,
         rules=UNAWARE + "\n  {supervisor} mrix,", command="/usr/bin/true"),
]


def cannot(why):
    print(f"skipped: {why}")
    must_run = os.environ.get("MSEAL_TESTS_MUST_RUN") == "1" and "apparmor" not in os.environ.get("MSEAL_TESTS_WITHOUT", "")
    sys.exit(1 if must_run else 77)


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, check=False, **more)


def cached(build, key):
    return re.search(rf"^{key}:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.M).group(1)


class Place:
    """The installed build, and profiles with its abstraction."""

    def __init__(self, build, folder):
        self.folder = folder
        prefix = pathlib.Path(cached(build, "CMAKE_INSTALL_PREFIX"))
        if prefix == pathlib.Path("/usr"):
            sys.exit("this build is for /usr")
        # What is written here stays in this namespace.
        for place in (prefix, pathlib.Path("/etc")):
            upper, work = folder / f"{place.name}-upper", folder / f"{place.name}-work"
            for new in (upper, work):
                new.mkdir()
            place.mkdir(exist_ok=True)
            mounted = run(["mount", "-t", "overlay", "-o", f"lowerdir={place},upperdir={upper},workdir={work}", "overlay", place])
            if mounted.returncode != 0:
                cannot(mounted.stderr.strip())
        self.libdir = prefix / cached(build, "CMAKE_INSTALL_LIBDIR")
        self.supervisor = prefix / cached(build, "CMAKE_INSTALL_LIBEXECDIR") / "libmseal/mseal-supervisor"
        for file, place in (("libmseal.so", self.libdir), ("mseal-supervisor", self.supervisor.parent)):
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(build / "shim" / file, place)
        self.abstraction = (build / "shim/install/apparmor/libmseal").read_text()
        (prefix / "bin").mkdir(exist_ok=True)
        self.program = shutil.copy(build / "tests/live/live_program", prefix / "bin")

    def filled(self, text):
        found = f"{self.libdir}/{os.path.relpath(self.supervisor, self.libdir)}"  # from the library
        return text.format(libdir=self.libdir, supervisor=self.supervisor, found=found, program=self.program)

    def load(self, case, abstraction):
        file, included = self.folder / "profile", self.folder / "libmseal"
        included.write_text(abstraction)
        file.write_text(PROFILE.format(name=NAME, include=f'include "{included}"' if case.abstraction else "",
                                       program=self.program, more=self.filled(case.rules)))
        loaded = run(["apparmor_parser", "--replace", "--skip-cache", file])
        if loaded.returncode != 0:
            sys.exit(f"apparmor_parser: {loaded.stdout}{loaded.stderr}")

    def tried(self, case, abstraction):
        """What is wrong, and what was said."""
        self.load(case, abstraction)
        policy = pathlib.Path("/etc/libmseal/policy.toml")
        shutil.rmtree(policy.parent, ignore_errors=True)
        if case.policy:
            policy.parent.mkdir()
            policy.write_text(case.policy)
        # `env` sets LD_PRELOAD for a program that is confined already.
        command = [*case.how, "env", f"LD_PRELOAD={self.libdir}/libmseal.so",
                   f"MSEAL_OPTIONS=backend=supervised,verbose=1{self.filled(case.options)}", *self.filled(case.command).split()]
        run(["dmesg", "--clear"])
        result = run(command, preexec_fn=lambda: pathlib.Path("/proc/self/attr/apparmor/exec").write_text(f"exec {NAME}"))
        said = [line for line in result.stderr.splitlines() if line.startswith("libmseal: ")]
        wrong = [] if result.returncode == case.status else [f"exit status {result.returncode}, not {case.status}"]
        if len(said) != len(case.said) or not all(map(str.startswith, said, map(self.filled, case.said))):
            wrong.append("it should say: " + "\n".join(map(self.filled, case.said)))
        denied = [line for line in run(["dmesg"]).stdout.splitlines() if 'apparmor="DENIED"' in line]
        if case.abstraction:
            wrong += [line for line in denied if not any(one in line for one in DONE_WITHOUT)]
        return wrong, result.stdout + result.stderr + "\n".join(denied)


def too_much_in_abstraction(place):
    """Rules without which all cases are as with them."""
    lines = place.abstraction.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("  ") or line.lstrip().startswith(("#", "abi", "include")):
            continue
        without = "\n".join(lines[:number] + lines[number + 1:]) + "\n"
        if not any(case.abstraction and place.tried(case, without)[0] for case in CASES):
            print(f"the same without: {line.strip()}", flush=True)


def inside(given):
    with tempfile.TemporaryDirectory(prefix="libmseal-apparmor-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", folder], check=True)
        place = Place(given.build.resolve(), folder)
        status = 0
        try:
            for case in CASES:
                if given.names and case.name not in given.names:
                    continue
                wrong, said = place.tried(case, place.abstraction)
                print(f"{'FAILS' if wrong else 'ok':6} {case.name}", flush=True)
                if wrong:
                    status = 1
                    print("\n".join(wrong) + "\n" + said, flush=True)
            if given.needed:
                too_much_in_abstraction(place)
            return status
        finally:
            run(["apparmor_parser", "--remove", folder / "profile"])
            run(["umount", "--lazy", folder])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--needed", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME")
    given = parser.parse_args()
    if given.inside:
        return inside(given)
    if os.geteuid() != 0:
        cannot("it takes root")
    if not ENABLED.exists() or ENABLED.read_text().strip() != "Y":
        cannot("this kernel has no AppArmor, or it is off")
    if shutil.which("apparmor_parser") is None:
        cannot("apparmor is not installed (.ci/setup programs)")
    if not POLICY.exists():
        run(["mount", "-t", "securityfs", "securityfs", POLICY.parent])
    if not POLICY.exists():
        cannot("securityfs is not to be had")
    return subprocess.run(["unshare", "--mount", sys.executable, __file__, "--inside", *sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
