"""Tries to change the code, constants and RELRO of its own process, by libc and past it. Says whether there was
enough to try, and whether all of it was refused."""
import ctypes
import os
import sys

munmap, madvise = (11, 28) if os.uname().machine == 'x86_64' else (215, 233)
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.syscall.argtypes = [ctypes.c_long] * 5
tried = refused = 0
for line in open('/proc/self/maps'):
    where, mode, _, _, inode, *path = line.split()
    if mode[0] == '-' or mode[1] == 'w' or inode == '0' or '/lib' not in path[0] and '/bin/' not in path[0]:
        continue
    if any(name in path[0] for name in ('locale', 'gconv', 'lib-dynload', 'libffi')):
        continue
    start, end = (int(x, 16) for x in where.split('-'))
    for call in (lambda: libc.mprotect(start, end - start, 7), lambda: libc.syscall(munmap, start, 4096, 0, 0),
                 lambda: libc.syscall(madvise, start, 4096, 4, 0)):
        tried += 1
        ctypes.set_errno(0)
        held = call() == -1 and ctypes.get_errno() == 1
        refused += held
        if not held:
            print(line, file=sys.stderr)
print(tried > 20, tried == refused)
