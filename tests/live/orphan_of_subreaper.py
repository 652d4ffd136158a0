# Prints the mappings of a program that its grandparent, a subreaper, has adopted.
import ctypes
import os

PR_SET_CHILD_SUBREAPER = 36
libc = ctypes.CDLL(None, use_errno=True)

assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
grandparent = os.getpid()
parent = os.fork()
if parent == 0:
    if os.fork() == 0:
        while os.getppid() != grandparent:
            pass
        os.execv("/bin/cat", ["/bin/cat", "/proc/self/maps"])
    os._exit(0)
os.waitpid(parent, 0)
_, status = os.wait()
os._exit(os.waitstatus_to_exitcode(status))
