/* The processes and threads that run a sequence. */
#ifndef LIBMSEAL_TWIN_PROCESS
#define LIBMSEAL_TWIN_PROCESS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/differential/actions.h"
#include "tests/differential/calls.h"
#include "tests/differential/operation_kinds.h"
#include "tests/differential/world.h"

/* The heap of a program at a fixed address is anywhere in the first GiB: where the arena is to be, start
 * again. */
static inline void start_elsewhere(unsigned long arena, char** arguments) {
  const unsigned long heap = (unsigned long)sbrk(0), room = 16 << 20;
  if (heap + room > arena && heap < arena + 4 * room) execv("/proc/self/exe", arguments);
}

/* Runs the rest of a sequence in a new thread, and ends this one. */
static inline void leave_to_other_thread(void* (*rest)(void*)) {
  pthread_t thread;
  fflush(NULL);
  if (pthread_create(&thread, NULL, rest, NULL) != 0) abort();
  for (;;) native_call(SYS_exit, 0, 0, 0, 0, 0, 0);
}

/* The first process only waits: for the twin, and for children of whom it becomes the parent. It is no
 * relative of the twin, which executes the program again, and is not under the library itself if
 * LATER_PRELOAD names that. */
static inline int keep(int count, char** arguments) {
  char* again[] = {arguments[0], arguments[1], count > 2 ? arguments[2] : NULL, NULL};
  const char* const library = getenv("LATER_PRELOAD");
  if (getenv("TWIN_KEPT") != NULL) {
    keeper = getppid();
    return -1;
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
  const pid_t twin = fork();
  if (twin < 0) abort();
  if (twin == 0) {
    setenv("TWIN_KEPT", "1", 1);
    if (library != NULL) setenv("LD_PRELOAD", library, 1);
    const char* const files = getenv("LATER_FILES"); /* RLIMIT_NOFILE, also of the supervisor */
    if (files != NULL) (void)limit_files(strtoul(files, NULL, 10), 0);
    execv("/proc/self/exe", again);
    _exit(126);
  }
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, __WALL);
    if (ended == twin) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (ended < 0 && errno != EINTR) return 3;
  }
}

/* For the program that shows a difference: each page's protection and first byte. */
static inline void print_pages(void) {
  static char bits[PAGES][5];
  static unsigned long page; /* outlives the jump */
  char line[512];
  FILE* maps = fopen("/proc/thread-self/maps", "r");
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    unsigned long start, end;
    char protection[5];
    if (sscanf(line, "%lx-%lx %4s", &start, &end, protection) != 3) continue;
    for (unsigned long at = start > world.arena ? start : world.arena;
         at < end && at < slot_start(PAGES - 1) + PAGE; at += PAGE)
      memcpy(bits[(at - world.arena) / PAGE], protection, sizeof protection);
  }
  watch_for_bad_pages();
  for (page = 0; page < PAGES; page = page + 1) {
    if (sigsetjmp(bad_page, 1) != 0) {
      printf(" %lu:%s!", page, bits[page]);
    } else if (bits[page][0] == 'r') {
      const unsigned char byte = *(volatile unsigned char*)slot_start(page);
      printf(" %lu:%s%c", page, bits[page], byte > ' ' ? byte : '.');
    } else {
      printf(" %lu:%s", page, bits[page]);
    }
  }
  printf("\n");
}

#endif
