"""A kernel that qemu boots quickly, and the first file system that the guest starts from."""
import lzma
import pathlib
import stat

from debian_packages import Missing, Suite, run

# The suite that has the kernel, and what its package's name ends in there besides the architecture.
KERNELS = {"5.10": ("bullseye", ""), "6.1": ("bookworm", ""), "6.12": ("bookworm-backports", ""),
           "6.12-16k": ("bookworm-backports", "-16k")}  # arm64 with pages of 16 KiB
MODULES = ["virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay"]
APPLETS = ["sh", "mount", "insmod", "cat", "mkdir", "mkfifo", "ln", "poweroff", "ifconfig", "hostname", "chroot", "kill",
           "sleep"]


def uncompressed(vmlinuz):
    """The kernel without its own decompressor, which an emulated processor is slow at; else as it is."""
    data = vmlinuz.read_bytes()
    at = data.find(b"\xfd7zXZ\0")
    while at >= 0:
        try:
            kernel = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data[at:])
            if kernel.startswith(b"\x7fELF"):
                return kernel
        except lzma.LZMAError:
            pass
        at = data.find(b"\xfd7zXZ\0", at + 1)
    return data


class Archive:
    """A cpio archive (newc) in memory: what the kernel unpacks as its first file system."""

    def __init__(self):
        self.parts = []
        self.count = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.count += 1
        encoded = name.encode() + b"\0"
        fields = [self.count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def folder(self, name):
        self.add(name, stat.S_IFDIR | 0o755)

    def bytes(self):
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def modules(unpacked):
    """The contents of the modules, in the order in which they have to be loaded."""
    version = next((unpacked / "lib/modules").iterdir()).name
    run(["/sbin/depmod", "-b", unpacked, version])
    found = {}
    for module in MODULES:
        listed = run(["/sbin/modprobe", "-d", unpacked, "-S", version, "--show-depends", module])
        for line in listed.splitlines():
            word, _, path = line.partition(" ")
            if word == "insmod":
                file = pathlib.Path(path.split(" ")[0])
                data = file.read_bytes()
                found[file.name.removesuffix(".xz")] = lzma.decompress(data) if file.suffix == ".xz" else data
    return found


def first_file_system(order, busybox, init):
    archive = Archive()
    for name in ("bin", "modules", "proc", "sys", "dev", "lower", "memory", "new", "control"):
        archive.folder(name)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    archive.add("bin/busybox", stat.S_IFREG | 0o755, busybox)
    for applet in APPLETS:
        archive.add(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox")
    for name, data in order.items():
        archive.add(f"modules/{name}", stat.S_IFREG | 0o644, data)
    archive.add("modules/order", stat.S_IFREG | 0o644, "".join(f"{name}\n" for name in order).encode())
    archive.add("init", stat.S_IFREG | 0o755, init.read_bytes())
    return archive.bytes()


def with_drivers(image, arch, init, folder):
    """The same for a kernel that needs no modules."""
    kernel, initrd = folder / "kernel", folder / "initrd"
    with Suite("bookworm", arch).unpacked("busybox-static") as files:
        busybox = next(files.glob("**/bin/busybox"))
        kernel.write_bytes(uncompressed(image))
        initrd.write_bytes(first_file_system({}, busybox.read_bytes(), init))
    return kernel, initrd


def prepare(version, arch, init):
    """The paths of kernel and first file system, made if they are not there."""
    name, flavour = KERNELS[version]
    suite = Suite(name, arch)
    kernel, initrd = suite.folder / f"kernel-{version}", suite.folder / f"initrd-{version}"
    newer = initrd.exists() and initrd.stat().st_mtime > max(init.stat().st_mtime,
                                                             pathlib.Path(__file__).stat().st_mtime)
    if kernel.exists() and newer:
        return kernel, initrd
    with suite.unpacked(f"linux-image-{arch}{flavour}") as files, \
            Suite("bookworm", arch).unpacked("busybox-static") as more:
        busybox = list(more.glob("**/bin/busybox"))
        images = list((files / "boot").glob("vmlinuz-*"))
        if not images or not busybox:
            raise Missing(f"a kernel in {suite.folder}")
        kernel.write_bytes(uncompressed(images[0]))
        initrd.write_bytes(first_file_system(modules(files), busybox[0].read_bytes(), init))
    return kernel, initrd
