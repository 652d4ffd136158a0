/* Operations beside which something else runs: a process that shares the memory, a thread. */
#ifndef LIBMSEAL_RACES
#define LIBMSEAL_RACES

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/differential/calls.h"
#include "tests/differential/operation_kinds.h"
#include "tests/differential/set_up.h"
#include "tests/differential/world.h"

/* ---- a seal made while somebody shares the memory ---- */

static struct {
  volatile int alive; /* the number of the sharer; the kernel clears it when it is gone */
  volatile int ready;
  volatile int verdict; /* 1: unmap it, 2: leave it */
  enum sharing how;
  unsigned long at, size;
} shared;

static int wait_and_unmap(void* unused) {
  (void)unused;
  const struct timespec moment = {0, 200000};
  shared.ready = 1;
  while (shared.verdict == 0) native_call(SYS_nanosleep, (unsigned long)&moment, 0, 0, 0, 0, 0);
  if (shared.verdict == 1) native_call(SYS_munmap, shared.at, shared.size, 0, 0, 0, 0);
  native_call(SYS_exit, 0, 0, 0, 0, 0, 0);
  return 0;
}

static int clone_sharer(int flags, int (*body)(void*), int stack) {
  const int tracked = body == wait_and_unmap ? CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID : 0;
  const int child = clone(body, sharer_stack[stack] + sizeof sharer_stack[stack], flags | tracked | SIGCHLD,
                          NULL, (void*)&shared.alive, NULL, (void*)&shared.alive);
  if (child < 0) { /* there is nobody to wait for */
    shared.alive = 0;
    shared.ready = 1;
  }
  return child;
}

static int leave_orphan(void* unused) {
  (void)unused;
  clone_sharer(CLONE_VM, wait_and_unmap, 1);
  native_call(SYS_exit, 0, 0, 0, 0, 0, 0);
  return 0;
}

static void* start_sharer(void* unused) {
  (void)unused;
  int child = -1;
  switch (shared.how) {
    case vfork_of_thread:
      child = clone_sharer(CLONE_VM | CLONE_VFORK, wait_and_unmap, 0);
      break;
    case sibling_of_thread:
      clone_sharer(CLONE_VM | CLONE_VFORK | CLONE_PARENT, wait_and_unmap, 0);
      break;
    case plain_sharer:
      child = clone_sharer(CLONE_VM, wait_and_unmap, 0);
      break;
    default:
      child = clone_sharer(CLONE_VM | CLONE_VFORK, leave_orphan, 0);
      break;
  }
  if (child > 0) waitpid(child, NULL, __WALL);
  return NULL;
}

static inline long mseal_shared(const struct operation* op) {
  const struct timespec moment = {0, 200000};
  pthread_t thread;
  shared.ready = 0;
  shared.verdict = 0;
  shared.alive = -1; /* until the sharer is there */
  shared.at = op->a[0];
  shared.size = op->a[1];
  shared.how = (enum sharing)op->a[2];
  if (pthread_create(&thread, NULL, start_sharer, NULL) != 0) return -EAGAIN;
  while (shared.ready == 0) nanosleep(&moment, NULL);
  const long result = call_mseal(op->a[0], op->a[1]);
  shared.verdict = result == 0 ? 1 : 2;
  pthread_join(thread, NULL);
  while (shared.alive != 0) nanosleep(&moment, NULL);
  if (result != 0) (void)call_mseal(op->a[0], op->a[1]); /* nobody shares it any more */
  return result;
}

/* ---- a race about which mapping is the stack ---- */

static volatile int race_over;
static void* change_page(void* at) {
  while (race_over == 0) {
    for (unsigned flag = 0; flag < 2; ++flag)
      native_call(SYS_mmap, (unsigned long)at, PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (flag != 0 ? MAP_GROWSDOWN : 0), -1UL, 0);
  }
  return NULL;
}

static inline long race_stack(const struct operation* op) {
  pthread_t thread;
  race_over = 0;
  if (pthread_create(&thread, NULL, change_page, (void*)op->a[0]) != 0) return -EAGAIN;
  for (int attempt = 0; attempt < 100; ++attempt)
    native_call(SYS_mprotect, op->a[0], PAGE, PROT_READ | PROT_GROWSDOWN, 0, 0, 0);
  race_over = 1;
  pthread_join(thread, NULL);
  fresh((op->a[0] - world.arena) / PAGE);
  return 0;
}

#endif
