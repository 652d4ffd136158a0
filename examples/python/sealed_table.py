#!/usr/bin/env python3
"""Fills a table, seals it, and shows that it can't be changed any more.

    python3 sealed_table.py                              # ctypes loads libmseal.so.0
    LD_PRELOAD=libmseal.so python3 sealed_table.py       # Python's own text is sealed as well
"""

import ctypes
import mmap
import os

import mseal


def outcome(result):
    return "done" if result == 0 else os.strerror(ctypes.get_errno())


def main():
    table = mseal.Region(4096)
    with table as memory:
        memory[:9] = b"the table"

    libc = ctypes.CDLL(None, use_errno=True)
    start, length = ctypes.c_void_p(table.address), ctypes.c_size_t(table.length)
    print("sealed:  ", mseal.is_sealed(table.address, table.length))
    print("mprotect:", outcome(libc.mprotect(start, length, mmap.PROT_READ | mmap.PROT_WRITE)))
    print("munmap:  ", outcome(libc.munmap(start, length)))
    try:
        table.contents[0] = 0
    except TypeError as error:
        print("written: ", error)
    try:
        memory[0] = 0
    except ValueError as error:
        print("too late:", error)
    print("it says: ", bytes(table.contents[:9]).decode())

    text = ctypes.cast(libc.strlen, ctypes.c_void_p).value & -mmap.PAGESIZE
    print("text of libc:", "sealed" if mseal.is_sealed(text, mmap.PAGESIZE) else "not sealed (not preloaded, or auto=off)")


if __name__ == "__main__":
    main()
