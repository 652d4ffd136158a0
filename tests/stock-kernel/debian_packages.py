"""Debian packages of any suite and architecture, fetched without touching this machine's own package lists."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "libmseal" / "stock-kernel"


class Missing(Exception):
    """Something that this machine would need."""


def run(command, **more):
    if shutil.which(command[0]) is None:
        raise Missing(f"the program {command[0]}")
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, **more)
    if done.returncode != 0:
        raise Missing(f"{command[0]}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def mirror():
    """The archive that this machine itself installs from."""
    for line in run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)",
                     "Created-By: Packages"]).splitlines():
        origin, component, uri = line.split(" ", 2)
        if origin == "Debian" and component == "main" and "security" not in uri:
            return uri.rstrip("/")
    raise Missing("a Debian archive in apt's sources (apt-get update may be due)")


class Suite:
    """One suite for one architecture, with lists of its own."""

    def __init__(self, name, arch):
        self.arch = arch
        self.folder = CACHE / f"{name}-{arch}"
        lists = self.folder / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        sources = self.folder / "sources.list"
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        sources.write_text(f"deb [arch={arch} signed-by={keys}] {mirror()} {name} main\n")
        self.options = [f"-oDir::Etc::sourcelist={sources}", "-oDir::Etc::sourceparts=/dev/null",
                        f"-oDir::State::lists={lists}", f"-oDir::State::status={self.folder / 'status'}",
                        f"-oDir::Cache={self.folder}", "-oAPT::Get::List-Cleanup=0", f"-oAPT::Architecture={arch}",
                        f"-oAPT::Architectures={arch}", "-oAcquire::Languages=none", "-oAcquire::GzipIndexes=true",
                        "-oAPT::Sandbox::User=root"]

    def update(self):
        if not any((self.folder / "lists").glob("*_Packages*")):
            run(["apt-get", *self.options, "update"])

    def fetch(self, package):
        """The newest package of that name, or the one that it depends on if it is but a name for that."""
        self.update()
        for line in run(["apt-cache", *self.options, "depends", package]).splitlines():
            kind, _, target = line.strip().partition(": ")
            if kind == "Depends" and target.startswith("linux-image-"):
                package = target
        if not (files := sorted(self.folder.glob(f"{package}_*.deb"))):
            run(["apt-get", *self.options, "download", package], cwd=self.folder)
            files = sorted(self.folder.glob(f"{package}_*.deb"))
        return files[-1]

    @contextlib.contextmanager
    def unpacked(self, package):
        """A folder with the files of the package, which go with its archive once they were looked at: kernels are large."""
        file = self.fetch(package)
        with tempfile.TemporaryDirectory(prefix="libmseal-package-") as name:
            folder = pathlib.Path(name)
            run(["dpkg-deb", "-x", file, folder])
            yield folder
        file.unlink()

    def root(self, packages):
        """A file tree with these packages and all that they depend on, unpacked and no more: nothing of them is run."""
        root = self.folder / "root"
        wanted = " ".join(packages)
        made_of = self.folder / "root.packages"
        if root.exists() and made_of.exists() and made_of.read_text() == wanted:
            return root
        self.update()
        run(["apt-get", *self.options, "install", "--download-only", "--no-install-recommends", "-y", *packages])
        unpacking = self.folder / "root.new"
        shutil.rmtree(unpacking, ignore_errors=True)
        for folder in ("bin", "lib", "sbin"):  # as on every Debian system since 12
            (unpacking / "usr" / folder).mkdir(parents=True)
            (unpacking / folder).symlink_to(f"usr/{folder}")
        for file in sorted((self.folder / "archives").glob("*.deb")):
            run(["dpkg-deb", "-x", file, unpacking])
        if not (unpacking / "bin/sh").exists():  # a package's script would have made it
            (unpacking / "bin/sh").symlink_to("bash")
        shutil.rmtree(root, ignore_errors=True)
        unpacking.rename(root)
        made_of.write_text(wanted)
        return root
