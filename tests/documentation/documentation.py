#!/usr/bin/env python3
"""README and man pages against the code.

    documentation.py --tool PATH --library PATH [--cc COMPILER] CHECK...

    tool      mseal.1 has a section for every command, and in it every option of its --help
    options   libmseal-policy.5 has every key of MSEAL_OPTIONS, each value, and every name of open= and harden=
    completions  those for bash, zsh and fish have the values of every option of mseal run
    symbols   libmseal.3 has every symbol that libmseal.so exports
    attacks   libmseal-attacks.7 has every attack that the tests run
    containers  libmseal-containers.7 has every call of seccomp-fragment.json
    services  libmseal-services.7 has the drop-ins of examples/systemd, and its policy files have no mistakes
    folders   those of policy/ and shim/ include each other in one direction, and libmseal-internals.7 has each
    limits    LIMITS of libmseal.7 has an entry for each section of libmseal-limits.7, in the same order
    references  pages and sections that pages, README and sources refer to are there; every page is in README
    lint      mandoc finds nothing wrong with the pages
    readme    at most 150 lines, and every file that it names is there
    examples  the C programs of README.md and libmseal.3 compile, run, and print what the text says; the policy file of
              libmseal-policy.5 has no mistakes

Exit status 1 if something is missing, 77 if a check can't run here (1 with MSEAL_TESTS_MUST_RUN=1).
"""

import argparse
import graphlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = {name.rpartition("/")[2]: name for name in (
    "shim/tool/mseal.1", "include/mseal/libmseal.3", "policy/configuration/libmseal-policy.5", "shim/libmseal.7",
    "shim/libmseal-internals.7", "shim/libmseal-limits.7", "tests/attacks/libmseal-attacks.7",
    "tests/libmseal-tests.7", "shim/tool/libmseal-containers.7", "shim/tool/libmseal-services.7")}
MOST_LINES = 150


class CannotRun(Exception):
    pass


def text_of(name):
    return (SOURCE / name).read_text()


def man_page(name):
    return text_of(PAGES[name])


def run(arguments, environment=None, **more):
    return subprocess.run(arguments, env={**os.environ, "MSEAL_OPTIONS": "", **(environment or {})}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **more)


def words_in(text):
    return set(re.findall(r"[\w.\-]+", text.replace("\\-", "-").replace("\\&", "")))


def section_of(page, macro, title):
    """What stands under `.Sh title` or `.Ss title`, up to the next heading of that rank or a higher one."""
    end = r"\.Sh " if macro == "Sh" else r"\.S[hs] "
    found = re.search(rf"^\.{macro} {re.escape(title)}\n(.*?)(?=^{end}|\Z)", page, re.M | re.S)
    return found.group(1) if found else None


def items_of(section):
    """The words in the heads of the list items."""
    return words_in(" ".join(re.findall(r"^\.It (.*)$", section, re.M)))


# ---- checks: each returns what is wrong ----


def check_tool(given):
    page = man_page("mseal.1")
    everywhere = items_of(section_of(page, "Ss", "Options of all commands") or "")
    problems = []

    def look(command):
        help_text = run([given.tool, *command, "--help"]).stdout
        # Newer versions of CLI11 print the headings in capitals.
        options_text, _, commands_text = re.sub(r"^subcommands:", "\f", help_text, flags=re.M | re.I).partition("\f")
        options = set(re.findall(r"--([a-z][a-z-]*)", re.split(r"^options:", options_text, 1, re.M | re.I)[-1]))
        options |= set(re.findall(r"^ +-([a-z]),", help_text, re.M))
        if not options:
            problems.append(f"mseal {' '.join(command)} --help lists no options")
        below = re.findall(r"^  ([a-z]+)  ", commands_text, re.M)
        if below:
            documented = everywhere
        else:
            section = section_of(page, "Ss", " ".join(["mseal", *command]))
            if section is None:
                problems.append(f"mseal.1 has no section for mseal {' '.join(command)}")
                return
            documented = items_of(section) | everywhere
            documented |= {word.lstrip("-") for word in documented}
            # And nothing that is not there any more.
            for gone in {word[1:] for word in items_of(section) if word.startswith("-")} - options:
                problems.append(f"mseal.1 has --{gone} of mseal {' '.join(command)}, which has no such option")
        documented = {word.lstrip("-") for word in documented}
        for option in sorted(options - documented):
            problems.append(f"mseal.1 has no entry for {option} of mseal {' '.join(command)}")
        for one in below:
            look([*command, one])

    look([])
    return problems


def allowed(given, item):
    """What the library says may stand there, when it is given something that may not."""
    said = run(["/bin/true"], {"LD_PRELOAD": given.library, "MSEAL_OPTIONS": "policy=none,backend=libc,auto=off," + item})
    found = re.search(r"(?:is not understood; allowed: |there is no option \w*; )(.*)", said.stderr)
    if found is None:
        raise RuntimeError(f"the library does not complain about {item}: {said.stderr}")
    return found.group(1)


def check_options(given):
    page = man_page("libmseal-policy.5")
    heads = {}
    for head in re.findall(r"^\.It (Cm \w+ Ns = Ns .*)$", section_of(page, "Sh", "OPTIONS"), re.M):
        heads[head.split()[1]] = words_in(head)
    keys = [key for key in re.findall(r"\w+", allowed(given, "no_such_key=1").partition("keys are")[2])]
    problems = []
    if len(keys) < 10:
        problems.append(f"the library names few keys: {keys}")
    for gone in heads.keys() - set(keys):
        problems.append(f"libmseal-policy.5 has the option {gone}, which there is not")
    for key in keys:
        if key not in heads:
            problems.append(f"libmseal-policy.5 has no entry for the option {key}")
            continue
        values = allowed(given, key + "=")
        if "joined by +" in values:
            section = {"open": "BLOCKED CALLS", "harden": "HARDENING"}[key]
            entries = items_of(section_of(page, "Sh", section))
            names = set(re.findall(r"\w+", values.partition(", joined by")[0]))
            problems += [f"libmseal-policy.5 has no entry for {key}={name}" for name in sorted(names - entries)]
            problems += [f"libmseal-policy.5 has {key}={name}, which there is not" for name in sorted(entries - names - {"Cm"})]
        elif "patterns" in values:
            continue
        else:
            for value in values.split(", "):
                if value != "an absolute path" and value not in heads[key]:
                    problems.append(f"libmseal-policy.5 does not have {key}={value}")
    return problems


def check_completions(given):
    """The line of an option's values: `--mode) ...`, `mode) ...` and `-l mode ...`, with what it goes on to."""
    problems = []
    for shell, head in (("bash", r"^ *--{}\)"), ("zsh", r"^ *{}\)"), ("fish", r" -l {} ")):
        text = text_of(f"shim/tool/mseal.{shell}").replace("\\\n", " ")
        for key in re.findall(r"\w+", allowed(given, "no_such_key=1").partition("keys are")[2]):
            if f"--{key}" not in run([given.tool, "run", "--help"]).stdout:
                continue  # of MSEAL_OPTIONS alone
            values = allowed(given, key + "=").partition(", joined by")[0]
            if "patterns" in values or key in ("verbose", "strict"):
                continue
            line = re.search(head.format(key) + "(.*)", text, re.M)
            there = words_in(line.group(1)) if line else set()
            problems += [f"mseal.{shell} does not have --{key}={value}" for value in values.split(", ")
                         if value != "an absolute path" and value not in there]
    return problems


def check_symbols(given):
    page = man_page("libmseal.3")
    exported = re.findall(r"^    (\w+);$", text_of("shim/preload/exports.map"), re.M)
    documented = set()
    for macro in re.findall(r"^\.(?:It )?Fn (.*)$", page, re.M):
        documented |= words_in(macro)
    return [f"libmseal.3 has no {name}" for name in exported if name not in documented] or (
        [] if exported else ["exports.map has no symbols"])


def check_attacks(given):
    attacks = re.findall(r"^ +(?:everywhere|ours)?[({]\"(\w+)\",", text_of("tests/attacks/attack_tests.cpp"), re.M)
    attacks += re.findall(r"^ +attack\(\"(\w+)\",", text_of("tests/attacks/attack_tests.cpp"), re.M)
    documented = items_of(section_of(man_page("libmseal-attacks.7"), "Sh", "ATTACKS"))
    problems = [f"libmseal-attacks.7 has no attack {name}" for name in sorted(set(attacks) - documented)]
    problems += [f"libmseal-attacks.7 has the attack {name}, which is not run" for name in sorted(documented - set(attacks) - {"Cm"})]
    return problems if len(attacks) > 50 else ["found only a few attacks"]


def check_containers(given):
    """Both ways, for what is needed: a list of its own; the others have entries."""
    page = section_of(man_page("libmseal-containers.7"), "Sh", "SECCOMP PROFILES")
    needed, used = (set(entry["names"]) for entry in json.loads(text_of("examples/containers/seccomp-fragment.json")))
    head, _, rest = page.partition(".It Needed by the backend supervised\n")
    listed = {word for word in words_in(rest.partition(".Pp")[0].replace(".\n", "\n"))}
    problems = [f"libmseal-containers.7 lists {name} as needed or the fragment does, but not both" for name in sorted(listed ^ needed)]
    documented = items_of(rest) - {"Used", "where", "allowed"}
    return problems + [f"libmseal-containers.7 has an entry for {name} or the fragment has, but not both"
                       for name in sorted(documented ^ used)]


def check_limits(given):
    sections = [title.capitalize() for title in re.findall(r"^\.Sh (.*)$", man_page("libmseal-limits.7"), re.M)]
    sections = [title for title in sections if title not in ("Name", "Description", "See also")]
    summary = re.findall(r"^\.It (.*)$", section_of(man_page("libmseal.7"), "Sh", "LIMITS"), re.M)
    return [] if sections and [entry.capitalize() for entry in summary] == sections else [
        f"libmseal-limits.7 has the sections {sections}, and LIMITS of libmseal.7 has {summary}"]


def check_references(given):
    """`.Xr page 7 ,` and then `.Dq TITLE`: a section of that page, or an entry of a list in it. `.Sx TITLE`: of the same page."""
    def heads(name):
        return re.findall(r"^\.(?:S[hs]|It) (.*)$", man_page(name), re.M)

    problems = [f"{file.name} is not among PAGES" for folder in ("include", "policy", "shim", "tests", "examples")
                for file in SOURCE.glob(folder + "/**/*.[1-8]") if str(file.relative_to(SOURCE)) not in PAGES.values()]
    problems += [f"README.md does not have {name}" for name, file in PAGES.items() if f"({file})" not in text_of("README.md")]
    functions = words_in(section_of(man_page("libmseal.3"), "Sh", "NAME"))
    count = 0
    for name in PAGES:
        text = man_page(name)
        problems += [f"{name} has no section {title}" for title in re.findall(r"^\.Sx (.*?)(?: [.,)].*)?$", text, re.M)
                     if title not in heads(name)]
        for page, number in re.findall(r"\bXr (libmseal[\w-]*|mseal[\w]*) (\d)", text):
            there = f"{page}.{number}" in PAGES or (page, number) == ("mseal", "2") or number == "3" and page in functions
            problems += [] if there else [f"{name} refers to {page}({number}), which there is not"]
        for page, title in re.findall(r"^\.Xr (libmseal[\w-]* \d) ,\n\.Dq (.*?)(?: [.,)].*)?$", text, re.M):
            count += 1
            page = page.replace(" ", ".")
            if page in PAGES and title not in heads(page):
                problems.append(f"{name} refers to {title} of {page}, which it does not have")
    sources = [file for folder in ("include", "policy", "shim", "tests", "examples") for file in SOURCE.glob(folder + "/**/*")
               if file.suffix in (".h", ".hpp", ".cpp", ".c", ".py", ".txt", ".cmake", ".md", ".in", ".json", ".conf", ".socket")]
    for file in [*sources, *SOURCE.glob("*.md"), *SOURCE.glob(".github/*.md")]:
        for page, number in re.findall(r"\b(libmseal[\w-]*)\((\d)\)", file.read_text()):
            if f"{page}.{number}" not in PAGES:
                problems.append(f"{file.relative_to(SOURCE)} refers to {page}({number}), which there is not")
    return problems if count else ["no page refers to a section of another"]


def check_lint(given):
    if shutil.which("mandoc") is None:
        raise CannotRun("mandoc is missing")
    problems = []
    for page in PAGES.values():
        result = run(["mandoc", "-T", "lint", "-W", "warning", str(SOURCE / page)])
        if result.returncode != 0 or result.stdout:
            problems.append(result.stdout + result.stderr)
    return problems


def check_readme(given):
    text = text_of("README.md")
    problems = []
    count = len(text.splitlines())
    if count > MOST_LINES:
        problems.append(f"README.md has {count} lines; at most {MOST_LINES} are allowed")
    named = re.findall(r"\]\(([\w./-]+)\)", text)
    named += [name for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)+)`", text) if not name.startswith(("build/", "tests/attacks/NAME"))]
    problems += [f"README.md names {name}, which is not there" for name in named if not (SOURCE / name).exists()]
    return problems if named else ["README.md names no files"]


def example_in_readme():
    code, rest = re.search(r"^```c\n(.*?)^```\n(.*)", text_of("README.md"), re.M | re.S).groups()
    return code, re.findall(r"^    (.*)$", rest.strip("\n").split("\n\n")[0], re.M)[1:]


def example_in_page():
    section = section_of(man_page("libmseal.3"), "Sh", "EXAMPLES")
    code, printed = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section, re.M | re.S)
    return code.replace("\\e", "\\"), printed.splitlines()


def check_folders(given):
    """The folders can be put into an order in which each includes only those before it."""
    page = section_of(man_page("libmseal-internals.7"), "Sh", "SOURCES").replace("\n.Pa ", " ")
    includes = {}
    for file in sorted([*SOURCE.glob("policy/**/*"), *SOURCE.glob("shim/**/*")]):
        if file.suffix not in (".h", ".cpp"):
            continue
        folder = str(file.parent.relative_to(SOURCE))
        includes.setdefault(folder, set())
        for name in re.findall(r'^#include "((?:policy|shim)/[^"]+)"', file.read_text(), re.M):
            includes[folder].add(os.path.dirname(name))
        includes[folder].discard(folder)
    problems = [f"libmseal-internals.7 does not have {folder}" for folder in includes
                if not re.search(rf"\b{os.path.basename(folder)}\b", page)]
    problems += [f"{folder} includes {other}" for folder, others in includes.items() for other in others
                 if folder.startswith("policy") and not other.startswith("policy")]
    try:
        list(graphlib.TopologicalSorter(includes).static_order())
    except graphlib.CycleError as cycle:
        problems.append("includes in a circle: " + " -> ".join(reversed(cycle.args[1])))
    return problems if includes else ["no sources"]


def check_services(given):
    """The drop-ins are those of examples/systemd, and the policy files have no mistakes."""
    files = sorted((SOURCE / "examples/systemd").glob("*.conf"))
    # Lines that the page alone has, beside the first of an audit.
    own = ("Environment=MSEAL_OPTIONS=require=supervised,events=/run/mseal-events", "[Unit]", "Wants=mseal-events.socket",
           "After=mseal-events.socket", "include <abstractions/libmseal>", "ExecPaths=/usr/bin/grep /usr/libexec/libmseal")
    lines = set("\n".join(file.read_text() for file in files).splitlines())
    blocks = re.findall(r"^\.Bd -literal\n(.*?)^\.Ed", man_page("libmseal-services.7"), re.M | re.S)
    problems = [] if len(files) == 2 and len(blocks) > 4 else [f"{len(files)} drop-ins, {len(blocks)} examples"]
    for block in blocks:
        if "[[program]]" in block:
            checked = run([given.tool, "policy", "check", "/dev/stdin"], input=block)
            problems += [f"libmseal-services.7: {checked.stdout}{checked.stderr}"] if checked.returncode != 0 else []
            continue
        block = re.sub(r"\\e\n +", "", block)
        problems += [f"libmseal-services.7 has {line}, which no drop-in has" for line in block.splitlines()
                     if line not in lines and line not in own and not line.startswith("Environment=MSEAL_OPTIONS=mode=audit,")]
    return problems


def check_examples(given):
    problems = []
    policy = re.search(r"^\.Bd -literal\n(.*?)^\.Ed", section_of(man_page("libmseal-policy.5"), "Sh", "EXAMPLES"), re.M | re.S).group(1)
    checked = run([given.tool, "policy", "check", "/dev/stdin"], input=policy)
    if checked.returncode != 0:
        problems.append(f"the example of libmseal-policy.5: {checked.stdout}{checked.stderr}")
    library = pathlib.Path(given.library)
    for name, (code, printed) in (("README.md", example_in_readme()), ("libmseal.3", example_in_page())):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "example.c")
            source.write_text(code)
            program = str(pathlib.Path(folder, "example"))
            built = run([given.cc, "-Wall", "-Wextra", "-Werror", f"-I{SOURCE}/include", str(source), "-o", program,
                         f"-L{library.parent}", "-lmseal", f"-Wl,-rpath,{library.parent}"])
            if built.returncode != 0:
                problems.append(f"the example of {name} does not compile: {built.stderr}")
                continue
            for options in ("policy=none,backend=supervised", "policy=none"):
                result = run([program], {"MSEAL_OPTIONS": options})
                said = sorted((result.stdout + result.stderr).splitlines())
                if result.returncode != 0 or said != sorted(printed) or not printed:
                    problems.append(f"the example of {name}, {options}: status {result.returncode}, prints {said}, "
                                    f"and the text says {sorted(printed)}")
    return problems


def main():
    checks = {name[len("check_"):]: check for name, check in globals().items() if name.startswith("check_")}
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--tool", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("checks", nargs="+", choices=sorted(checks))
    given = parser.parse_args()
    status = 0
    for name in given.checks:
        try:
            for problem in checks[name](given):
                print(f"{name}: {problem}")
                status = 1
        except CannotRun as why:
            print(f"skipped: {name}: {why}")
            status = status or (1 if os.environ.get("MSEAL_TESTS_MUST_RUN") == "1" else 77)
    return status


if __name__ == "__main__":
    sys.exit(main())
