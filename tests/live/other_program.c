/* Of another C library than the tests, or with a sanitizer: its own text and its libc's are sealed at start, in it and in what it
 * starts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;
static int failures = 0;

static void expect_sealed_text(const char* what, const void* function) {
  char* const text = (char*)((unsigned long)function & -4096UL);
  errno = 0;
  if (mprotect(text, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == -1 && errno == EPERM) return;
  fprintf(stderr, "%s is not sealed (errno %d)\n", what, errno);
  ++failures;
}

int main(int count, char** arguments) {
  expect_sealed_text("main", (const void*)main);
  expect_sealed_text("libc", dlsym(RTLD_DEFAULT, "puts"));
  void* const own = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (syscall(462, own, 4096UL, 0UL) != 0) return 5;
  expect_sealed_text("what the program has sealed", own);
  if (count > 1) return failures != 0;
  pid_t child = 0;
  int status = -1;
  char* again[] = {arguments[0], "again", NULL};
  if (posix_spawn(&child, arguments[0], NULL, NULL, again, environ) != 0) return 2;
  if (waitpid(child, &status, 0) != child || status != 0) return 3;
  execve(arguments[0], again, environ);
  return failures != 0 ? 1 : 4;
}
