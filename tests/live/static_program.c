/* A program that no preload reaches: static, and it asks for seals by the system call alone. Started by
 * `mseal run --coverage=all`, whose supervisor serves it. */
#define _GNU_SOURCE /* mremap */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures = 0;
static long page;

#define EXPECT(condition)                                                                              \
  do {                                                                                                 \
    if (!(condition)) {                                                                                \
      fprintf(stderr, "%s:%d: does not hold: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
      ++failures;                                                                                      \
    }                                                                                                  \
  } while (0)

static long seal(void* at, unsigned long size, unsigned long flags) {
  return syscall(462, at, size, flags);
}

static char* pages(long count, int protection) {
  return mmap(NULL, (size_t)(count * page), protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void expect_sealed(char* at) {
  EXPECT(munmap(at, (size_t)page) == -1 && errno == EPERM);
  EXPECT(mprotect(at, (size_t)page, PROT_READ | PROT_WRITE) == -1 && errno == EPERM);
  EXPECT(mmap(at, (size_t)page, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  EXPECT(mremap(at, (size_t)page, (size_t)page * 2, MREMAP_MAYMOVE) == MAP_FAILED);
  EXPECT(madvise(at, (size_t)page, MADV_DONTNEED) == -1 && errno == EPERM);
}

static void errors_are_the_kernels(void) {
  char* at = pages(3, PROT_READ);
  EXPECT(seal(at, (size_t)page, 1) == -1 && errno == EINVAL);
  EXPECT(seal(at + 1, 0, 0) == -1 && errno == EINVAL);
  EXPECT(seal(at, ~0UL, 0) == -1 && errno == EINVAL);
  EXPECT(seal(at, 0, 0) == 0);
  EXPECT(munmap(at + page, (size_t)page) == 0);
  EXPECT(seal(at, 3 * (size_t)page, 0) == -1 && errno == ENOMEM);
  EXPECT(munmap(at, (size_t)page) == 0); /* nothing of it was sealed */
}

static int status_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

static void forks_inherit_what_was_there(void) {
  char* before = pages(1, PROT_READ);
  char* after = pages(1, PROT_READ);
  char* childs = pages(1, PROT_READ);
  int go[2];
  EXPECT(pipe(go) == 0 && seal(before, (size_t)page, 0) == 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    failures = 0;
    EXPECT(read(go[0], &byte, 1) == 1); /* the parent has sealed `after` by now */
    expect_sealed(before);
    EXPECT(munmap(after, (size_t)page) == 0);
    EXPECT(seal(childs, (size_t)page, 0) == 0);
    expect_sealed(childs);
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      expect_sealed(before);
      expect_sealed(childs);
      _exit(failures != 0);
    }
    EXPECT(status_of(grandchild) == 0);
    _exit(failures != 0);
  }
  EXPECT(seal(after, (size_t)page, 0) == 0);
  EXPECT(write(go[1], "g", 1) == 1);
  EXPECT(status_of(child) == 0);
  expect_sealed(after);
  EXPECT(munmap(childs, (size_t)page) == 0);
}

/* By the system call: not every libc has sbrk. */
static char* set_break(char* to) {
  return (char*)syscall(SYS_brk, to);
}

/* Nobody could refuse the brk that unmaps it: nothing is sealed, and nothing is promised. */
static void heap_is_not_sealed(void) {
  char* const start = set_break(NULL);
  char* const aligned = start + (page - (long)start % page) % page;
  EXPECT(set_break(aligned + 4 * page) == aligned + 4 * page);
  EXPECT(seal(aligned, (size_t)page, 0) == -1 && errno == EAGAIN);
  EXPECT(mprotect(aligned, (size_t)page, PROT_READ) == 0);
  EXPECT(set_break(aligned) == aligned);
}

/* No brk reaches what lies below the heap. */
static void text_is_sealed(void) {
  char* const text = (char*)((unsigned long)&text_is_sealed & -(unsigned long)page);
  EXPECT(seal(text, (size_t)page, 0) == 0);
  EXPECT(mprotect(text, (size_t)page, PROT_READ | PROT_WRITE) == -1 && errno == EPERM);
}

static void ten_thousand(void) {
  enum { kCount = 10000 };
  char* const base = pages(2 * kCount, PROT_READ);
  for (long index = 0; index < kCount; ++index) {
    if (seal(base + 2 * index * page, (size_t)page, 0) != 0) {
      EXPECT(!"every seal is taken");
      return;
    }
  }
  for (long index = 0; index < kCount; ++index) {
    EXPECT(munmap(base + 2 * index * page, (size_t)page) == -1 && errno == EPERM);
    EXPECT(mprotect(base + (2 * index + 1) * page, (size_t)page, PROT_NONE) == 0);
  }
}

int main(int count, char** arguments) {
  page = sysconf(_SC_PAGESIZE);
  if (count > 1 && strcmp(arguments[1], "execed") == 0) {
    /* what the image before had sealed is nothing to this one */
    EXPECT(munmap((char*)strtoul(arguments[2], NULL, 16), (size_t)page) == 0);
    return failures != 0;
  }
  errors_are_the_kernels();
  forks_inherit_what_was_there();
  heap_is_not_sealed();
  text_is_sealed();
  if (count > 1 && strcmp(arguments[1], "many") == 0) ten_thousand();
  char where[32];
  char* const mine = pages(1, PROT_READ);
  EXPECT(seal(mine, (size_t)page, 0) == 0);
  snprintf(where, sizeof where, "%lx", (unsigned long)mine);
  if (failures == 0) execl("/proc/self/exe", "static_program", "execed", where, NULL);
  return failures != 0;
}
