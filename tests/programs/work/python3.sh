# python3: threads, subprocesses, forks, ctypes with callbacks, mmap, numpy.
set -eu
cat > work.py <<'END'
import ctypes, mmap, multiprocessing, os, subprocess, sqlite3, tempfile, threading, zlib
import numpy

def spin(n):
    return sum(i * i for i in range(n))

results = []
threads = [threading.Thread(target=lambda: results.append(spin(100000))) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print("threads", set(results) == {spin(100000)})
print("subprocess", subprocess.run(["sh", "-c", "echo child | tr a-z A-Z"], capture_output=True, text=True).stdout.strip())
with multiprocessing.get_context("fork").Pool(4) as pool:
    print("fork", sum(pool.map(spin, [1000] * 50)))
libc = ctypes.CDLL(None)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(lambda a, b: a[0] - b[0])
numbers = (ctypes.c_int * 5)(5, 3, 1, 4, 2)
libc.qsort(numbers, 5, 4, compare)
print("ctypes", list(numbers))
with tempfile.TemporaryFile() as f:
    f.truncate(1 << 20)
    with mmap.mmap(f.fileno(), 1 << 20) as m:
        m[:4] = b"mmap"
        m.flush()
        m.resize(2 << 20)
        print("mmap", m[:4], len(m))
with mmap.mmap(-1, 1 << 22) as m:
    m.madvise(mmap.MADV_DONTNEED)
a = numpy.arange(250000, dtype=float).reshape(500, 500)
print("numpy", int((a @ a).trace()) % 1000003)
print("zlib", len(zlib.decompress(zlib.compress(os.urandom(1 << 20)))))
db = sqlite3.connect(":memory:")
db.execute("create table t(x)")
db.executemany("insert into t values(?)", ((i,) for i in range(20000)))
print("sqlite3", db.execute("select sum(x) from t").fetchone()[0])
for i in range(200):
    exec(compile("def f(): return %d" % i, "f", "exec"))
os.execv("/bin/echo", ["echo", "exec"])
END
/usr/bin/python3 work.py
