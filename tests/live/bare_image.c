/* An image without a C library: changes the protection of all of its own memory and unmaps a part, as nobody else
 * may. 0 if nothing was refused. */
extern char __executable_start, _end;

static long call3(long n, long a, long b, long c) {
  long r;
#ifdef __x86_64__
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#else
  __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
#endif
  return r;
}

#ifdef __x86_64__
enum { kExit = 60, kMprotect = 10, kMunmap = 11 };
#else
enum { kExit = 1, kMprotect = 125, kMunmap = 91 };
#endif

char unused[3 * 65536] = {1};

void _start(void);
void _start(void) {
  const long start = (long)&__executable_start & -4096L;
  const long size = ((long)&_end - start + 4095) & -4096L;
  long failed = call3(kMprotect, start, size, 7) != 0;
  failed += call3(kMunmap, ((long)unused + 65535) & -65536L, 65536, 0) != 0;
  call3(kExit, failed, 0, 0);
}
