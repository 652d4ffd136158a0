"""Memory that is filled and then sealed by libmseal: a Python module of one file, made with ctypes alone.

    import mseal

    table = mseal.Region(4096)
    with table as memory:            # a writable memoryview
        memory[:5] = b"hello"
    table.contents                   # a read-only memoryview, sealed: nothing can change, unmap or replace it any more

If the block raises, nothing is sealed and the memory is unmapped. What fails raises OSError. Keep no slice of the
writable memoryview: writing to it after the block ends the program (SIGSEGV). Sealed memory is never freed.

LD_PRELOAD=libmseal.so is not needed: ctypes loads the library if it is not there. Without the preload
- Python and its libraries are not sealed, only what this module is given;
- the backends kernel, supervised and filters seal as they do with it: the kernel refuses the calls. The backend libc
  could refuse nothing, for Python was linked to libc's own functions before; leaving the block raises OSError;
- mmap(PROT_SEAL) and discarding by protection keys are known only to who calls the library's own functions.
"""

import ctypes
import mmap
import os

_size, _address = ctypes.c_size_t, ctypes.c_void_p


def _function(library, name, result, *arguments):
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


_libmseal = ctypes.CDLL("libmseal.so.0", use_errno=True)  # the preloaded one, if it is preloaded
_libc = ctypes.CDLL(None, use_errno=True)
_mseal = _function(_libmseal, "mseal", ctypes.c_int, _address, _size, ctypes.c_ulong)
_mseal_query = _function(_libmseal, "mseal_query", ctypes.c_int, _address, _size)
_mmap = _function(_libc, "mmap", _address, _address, _size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_mprotect = _function(_libc, "mprotect", ctypes.c_int, _address, _size, ctypes.c_int)
_munmap = _function(_libc, "munmap", ctypes.c_int, _address, _size)


def _error(call):
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")


def seal(address, length):
    """Seals mapped memory that begins on a page; OSError if that fails."""
    if _mseal(address, length, 0) != 0:
        raise _error("mseal")


def is_sealed(address, length):
    return _mseal_query(address, length) == 2  # MSEAL_STATE_FULLY


class Region:
    """Memory of `length` bytes that the block of a with statement fills, once."""

    def __init__(self, length):
        self.address = _mmap(None, length, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        if self.address == _address(-1).value:
            self.address = None
            raise _error("mmap")
        self.length = length
        self.sealed = False

    def __del__(self):
        if self.address is not None and not self.sealed:
            _munmap(self.address, self.length)

    def _view(self):
        return memoryview((ctypes.c_ubyte * self.length).from_address(self.address)).cast("B")

    def __enter__(self):
        if self.sealed:
            raise ValueError("the region is sealed")
        self._writable = self._view()
        return self._writable

    def __exit__(self, kind, value, traceback):
        self._writable.release()  # writing to it is a ValueError from here on
        if kind is not None:
            return
        if _mprotect(self.address, self.length, mmap.PROT_READ) != 0:
            raise _error("mprotect")
        seal(self.address, self.length)
        self.sealed = True

    @property
    def contents(self):
        """What the region holds. Valid for good, for it is never unmapped."""
        if not self.sealed:
            raise ValueError("the region is not sealed")
        return self._view().toreadonly()
