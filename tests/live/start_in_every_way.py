"""Starts the program of the first argument in every way that a process has, and says which starts failed."""
import os
import subprocess
import sys
import threading

program = sys.argv[1]
check = [program, 'own_text_is_sealed']
failed = []


def expect(what, status):
    if status != 0:
        failed.append((what, status))


expect('subprocess', subprocess.run(check).returncode)
expect('system', os.system(' '.join(check)))
expect('posix_spawn', os.waitpid(os.posix_spawn(program, check, os.environ), 0)[1])
expect('xargs', subprocess.run(['xargs', '-P', '4', '-n', '1', program], input=b'own_text_is_sealed ' * 12).returncode)
targets = [f't{i}' for i in range(8)]
makefile = f'all: {" ".join(targets)}\n' + ''.join(f'{t}:\n\t{" ".join(check)}\n' for t in targets)
expect('make', subprocess.run(['make', '-s', '-j4', '-f', '-', 'all'], input=makefile.encode()).returncode)
children = [threading.Thread(target=lambda: expect('thread', subprocess.run(check).returncode)) for _ in range(4)]
for child in children:
    child.start()
for child in children:
    child.join()
reader, writer = os.pipe()
if os.fork() == 0:  # a daemon: its parent is gone before it starts the program
    os.setsid()
    if os.fork() == 0:
        os.write(writer, b'ok' if subprocess.run(check).returncode == 0 else b'no')
    os._exit(0)
os.wait()
expect('daemon', 0 if os.read(reader, 2) == b'ok' else 1)
print(failed)
