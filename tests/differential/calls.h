/* System calls, past libc and whatever stands in front of it, and who makes them. */
#ifndef LIBMSEAL_CALLS
#define LIBMSEAL_CALLS

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/differential/operation_kinds.h"
#include "tests/differential/world.h"

static inline long native_call(long number, unsigned long a, unsigned long b, unsigned long c,
                               unsigned long d, unsigned long e, unsigned long f) {
  register unsigned long r10 __asm__("r10") = d;
  register unsigned long r8 __asm__("r8") = e;
  register unsigned long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

/* 1 stands for none. */
static inline unsigned long soil(unsigned long value, unsigned garbage, unsigned place) {
  const unsigned upper = garbage == 1 ? 0 : garbage * (2 * place + 1);
  return (value & 0xffffffffUL) | (unsigned long)upper << 32;
}

static inline long i386_call(unsigned garbage, long number, unsigned long a, unsigned long b, unsigned long c,
                             unsigned long d, unsigned long e, unsigned long f) {
  register unsigned long r12 __asm__("r12") = soil(f, garbage, 6);
  long result;
  __asm__ volatile("xchg %%r12, %%rbp\n\tint $0x80\n\txchg %%r12, %%rbp"
                   : "=a"(result), "+r"(r12)
                   : "a"(soil((unsigned long)number, garbage, 0)), "b"(soil(a, garbage, 1)),
                     "c"(soil(b, garbage, 2)), "d"(soil(c, garbage, 3)), "S"(soil(d, garbage, 4)),
                     "D"(soil(e, garbage, 5))
                   : "r8", "r9", "r10", "r11", "memory");
  return result;
}

struct numbers {
  enum operation_kind kind;
  int native, i386;
};
static const struct numbers call_numbers[] = {
    {op_mmap, SYS_mmap, 192},
    {op_munmap, SYS_munmap, 91},
    {op_mprotect, SYS_mprotect, 125},
    {op_pkey_mprotect, SYS_pkey_mprotect, 380},
    {op_madvise, SYS_madvise, 219},
    {op_mremap, SYS_mremap, 163},
    {op_remap_file_pages, SYS_remap_file_pages, 257},
    {op_brk, SYS_brk, 45},
    {op_shmat, SYS_shmat, 397},
    {op_shmdt, SYS_shmdt, 398},
    {op_io_destroy, SYS_io_destroy, 246},
};

/* Where the kernel's own seals are in force. */
static inline int has_native_seals(void) {
  const char* options = getenv("MSEAL_OPTIONS");
  if (options != NULL && strstr(options, "auto=elf") != NULL) world.asked_for_seals = 1;
  return options != NULL && strstr(options, "backend=kernel") != NULL;
}

static inline long system_call(const struct operation* op) {
  unsigned long a[6];
  /* Ours does not let these happen, whatever they would touch: nor does the twin, or the two would part. */
  const int is_blocked = op->kind == op_shmat && (op->a[2] & SHM_REMAP) != 0;
  if (is_blocked && has_native_seals() && world.asked_for_seals != 0) return -EPERM;
  memcpy(a, op->a, sizeof a);
  if (op->kind == op_mmap) a[4] = (unsigned long)(long)world.files[op->a[4]], a[5] = 0;
  if (op->kind == op_shmat) a[0] = (unsigned long)world.segments[op->a[0]];
  if (op->kind == op_io_destroy) a[0] = world.rings[op->a[0]].address;
  for (size_t index = 0; index < sizeof call_numbers / sizeof *call_numbers; ++index) {
    const struct numbers* one = &call_numbers[index];
    if (one->kind != op->kind) continue;
    if (op->garbage != 0) return i386_call(op->garbage, one->i386, a[0], a[1], a[2], a[3], a[4], a[5]);
    return native_call(one->native, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  return -ENOSYS;
}

static inline int call_mseal(unsigned long at, unsigned long size) {
  /* A request that is refused for its arguments alone closes nothing. */
  const unsigned long whole = (size + PAGE - 1) & -PAGE;
  if (whole != 0 && at % PAGE == 0 && at + whole > at) world.asked_for_seals = 1;
  return syscall(462, at, size, 0UL) == 0 ? 0 : -errno;
}

/* ---- who calls ---- */

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  const struct operation* work;
  long result;
} other = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0};

static void* serve(void* unused) {
  (void)unused;
  pthread_mutex_lock(&other.mutex);
  for (;;) {
    while (other.work == NULL) pthread_cond_wait(&other.changed, &other.mutex);
    other.result = other.work->kind == op_mseal ? call_mseal(other.work->a[0], other.work->a[1])
                                                : system_call(other.work);
    other.work = NULL;
    pthread_cond_broadcast(&other.changed);
  }
  return NULL;
}

/* A fork takes the calling thread only. */
static inline void start_other_thread(void) {
  pthread_t thread;
  pthread_mutex_init(&other.mutex, NULL);
  pthread_cond_init(&other.changed, NULL);
  other.work = NULL;
  if (pthread_create(&thread, NULL, serve, NULL) != 0) abort();
  pthread_detach(thread);
}

struct borrowed { /* what a process that shares the memory is to do */
  const struct operation* op;
  long result;
};
static char sharer_stack[2][65536] __attribute__((aligned(64)));

static int call_in_sharer(void* argument) {
  struct borrowed* all = (struct borrowed*)argument;
  all->result = system_call(all->op);
  native_call(SYS_exit, 0, 0, 0, 0, 0, 0);
  return 0;
}

static inline long by_other_process(const struct operation* op) {
  struct borrowed all = {op, -ENOSYS};
  const int flags = op->caller == by_vfork_child ? CLONE_VM | CLONE_VFORK
                    : op->caller == by_sharer    ? CLONE_VM
                                                 : CLONE_VM | CLONE_VFORK | CLONE_PARENT;
  const int child = clone(call_in_sharer, sharer_stack[0] + sizeof sharer_stack[0], flags | SIGCHLD, &all);
  if (child < 0) return -1000 - errno;
  if ((flags & CLONE_PARENT) == 0) waitpid(child, NULL, __WALL);
  return all.result;
}

static inline long by_whom(const struct operation* op) {
  if (op->caller == by_self) return op->kind == op_mseal ? call_mseal(op->a[0], op->a[1]) : system_call(op);
  if (op->caller != by_thread) return by_other_process(op);
  pthread_mutex_lock(&other.mutex);
  other.work = op;
  pthread_cond_broadcast(&other.changed);
  while (other.work != NULL) pthread_cond_wait(&other.changed, &other.mutex);
  pthread_mutex_unlock(&other.mutex);
  return other.result;
}

#endif
