/* A program that seals a table of its own: cc seal_own_memory.c -lmseal, or start it under the preload.
 *
 * Prints what each attempt to change the table by a bare system call comes to. */
#define _GNU_SOURCE
#include <errno.h>
#include <mseal/mseal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __x86_64__
/* A system call that no library sees. */
static long bare_mprotect(void *addr, unsigned long len, unsigned long prot) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(10L), "D"(addr), "S"(len), "d"(prot)
                   : "rcx", "r11", "memory");
  return result;
}
#else
static long bare_mprotect(void *addr, unsigned long len, unsigned long prot) {
  return mprotect(addr, len, (int)prot) == 0 ? 0 : -errno;
}
#endif

int main(void) {
  const long page = sysconf(_SC_PAGESIZE);
  char *table = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (table == MAP_FAILED) return 1;
  strcpy(table, "the table");
  if (mprotect(table, (size_t)page, PROT_READ) != 0 || mseal(table, (size_t)page, 0) != 0) {
    perror("mseal");
    return 1;
  }
  const long writable = bare_mprotect(table, (unsigned long)page, PROT_READ | PROT_WRITE);
  printf("mprotect of the sealed page: %s\n", writable == 0 ? "done" : strerror((int)-writable));
  printf("munmap of the sealed page:   %s\n", munmap(table, (size_t)page) == 0 ? "done" : strerror(errno));

  char *text = (char *)((unsigned long)&main & -(unsigned long)page);
  const long code = bare_mprotect(text, (unsigned long)page, PROT_READ | PROT_WRITE | PROT_EXEC);
  printf("mprotect of the sealed .text: %s\n", code == 0 ? "done (auto=off, or not preloaded)" : strerror((int)-code));
  printf("the page still says: %s\n", table);
  return writable == 0;
}
