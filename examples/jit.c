/* Generated code as V8 keeps it: one range of 128 MiB, sealed whole, which only threads whose protection key
 * allows it can write.
 *
 *   cc jit.c -o jit
 *   LD_PRELOAD=libmseal.so ./jit
 *
 * The program does not use libmseal's headers: like V8 and PartitionAlloc, it makes the system call 462 with libc's
 * syscall(). The code can be written and discarded only inside a write scope, in which the protection key of the
 * thread allows writing; nothing can unmap the range or change its protection. Discarding the whole range must not
 * touch pages that were never used. Without protection keys in the processor, every thread may write and discard
 * the range. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MSEAL = 462 }; /* on every architecture */
static const size_t size = (size_t)128 << 20;
static int key;

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static const char* outcome(long result) {
  return result == 0 ? "done" : strerror(errno);
}

static void open_write_scope(void) {
  if (key >= 0 && pkey_set(key, 0) != 0) fail("pkey_set");
}

static void close_write_scope(void) {
  if (key >= 0 && pkey_set(key, PKEY_DISABLE_WRITE) != 0) fail("pkey_set");
}

/* A function that returns `number`. */
static void generate(unsigned char* code, unsigned char number) {
#ifdef __x86_64__
  const unsigned char function[] = {0xb8, number, 0, 0, 0, 0xc3}; /* mov eax, number; ret */
#else
  const unsigned instructions[] = {0x52800000u | (unsigned)number << 5,
                                   0xd65f03c0u}; /* mov w0, number; ret */
  unsigned char function[sizeof instructions];
  memcpy(function, instructions, sizeof function);
#endif
  open_write_scope();
  memcpy(code, function, sizeof function);
  close_write_scope();
  __builtin___clear_cache((char*)code, (char*)code + sizeof function);
}

static int run(const unsigned char* code) {
  int (*function)(void);
  memcpy(&function, &code, sizeof function);
  return function();
}

/* KiB of memory that the program has in use. */
static long memory_in_use(void) {
  long in_use = -1;
  char line[256];
  FILE* file = fopen("/proc/self/smaps_rollup", "r");
  if (file == NULL) fail("/proc/self/smaps_rollup");
  while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Rss: %ld", &in_use) != 1) {
  }
  fclose(file);
  return in_use;
}

int main(void) {
  key = pkey_alloc(0, PKEY_DISABLE_WRITE);
  const int prot = PROT_READ | PROT_WRITE | PROT_EXEC;
  unsigned char* code = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (code == MAP_FAILED) fail("mmap");
  if (pkey_mprotect(code, size, prot, key) != 0) fail("pkey_mprotect");
  if (syscall(MSEAL, code, size, 0UL) != 0) fail("mseal");

  unsigned char* last = code + size - (size_t)sysconf(_SC_PAGESIZE);
  generate(code, 42);
  generate(last, 43);
  printf("the code returns:     %d, %d\n", run(code), run(last));

  printf("mprotect:             %s\n", outcome(mprotect(code, size, PROT_READ | PROT_WRITE)));
  printf("munmap:               %s\n", outcome(munmap(code, size)));
  printf("discard without key:  %s\n", key >= 0 ? outcome(madvise(code, size, MADV_DONTNEED))
                                                : "not tried, this machine has no protection keys");

  const long before = memory_in_use();
  open_write_scope();
  const int discarded = madvise(code, size, MADV_DONTNEED);
  close_write_scope();
  printf("discard in its scope: %s\n", outcome(discarded));
  const long more = memory_in_use() - before;
  printf("the code is gone:     %s\n", code[0] == 0 && last[0] == 0 ? "yes" : "no");
  /* Some for the C library itself. */
  if (more < 256) {
    puts("memory in use:        no more than before");
  } else {
    printf("memory in use:        %ld KiB more\n", more);
  }
  generate(code, 44);
  printf("new code returns:     %d\n", run(code));
  return 0;
}
