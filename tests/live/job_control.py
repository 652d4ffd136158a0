# What a tracer that does not take care would change: signals, stops, ends and new programs.
import mmap
import os
import signal
import subprocess
import threading

child = subprocess.Popen(["/bin/sleep", "60"])
child.send_signal(signal.SIGSTOP)
print("stopped", os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1]))
child.send_signal(signal.SIGCONT)
print("continues", os.WIFCONTINUED(os.waitpid(child.pid, os.WCONTINUED)[1]))
child.send_signal(signal.SIGTERM)
print("ended", child.wait())

caught = []
signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
for _ in range(100):
    os.kill(os.getpid(), signal.SIGUSR1)
print("caught", len(caught))
print("fault", subprocess.call(["/bin/sh", "-c", "kill -SEGV $$"]))
print("status", subprocess.call(["/bin/sh", "-c", "exec /bin/sh -c 'exit 7'"]))
print("spawned", subprocess.check_output(["/bin/echo", "output"]))


def work():
    for _ in range(100):
        mmap.mmap(-1, 4096).close()


threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads have ended")
