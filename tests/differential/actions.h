/* How the operations of operation_kinds.h are done. */
#ifndef LIBMSEAL_ACTIONS
#define LIBMSEAL_ACTIONS

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/differential/calls.h"
#include "tests/differential/operation_kinds.h"
#include "tests/differential/races.h"
#include "tests/differential/set_up.h"
#include "tests/differential/world.h"

/* Memory that a fork leaves out (MADV_DONTFORK, which seals of writable memory allow) is a hole in the child:
 * the kernel's seal is gone with it, ours stays. So none is left out. */
static inline void go_on_in_child(void) {
  for (unsigned long page = 0; page < PAGES; ++page)
    native_call(SYS_madvise, slot_start(page), PAGE, MADV_DOFORK, 0, 0, 0);
  fflush(NULL);
  const pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) {
    memset(world.rings, 0, sizeof world.rings); /* contexts are not inherited */
    start_other_thread();
    return;
  }
  int status = 0;
  waitpid(child, &status, 0);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static inline long set_up_ring(const struct operation* op) {
  unsigned long context = 0;
  struct ring* ring = &world.rings[op->a[0]];
  if (ring->address != 0) return 1;
  if (native_call(SYS_io_setup, op->a[1], (unsigned long)&context, 0, 0, 0, 0) != 0) return 2;
  const unsigned* head = (const unsigned*)context; /* id, number of events, ... */
  ring->address = context;
  ring->id = head[0];
  ring->size = (32 + (unsigned long)head[1] * 32 + PAGE - 1) / PAGE * PAGE;
  if (ring->size > world.largest_ring) world.largest_ring = ring->size;
  return 0;
}

static inline long move_ring(const struct operation* op) {
  struct ring* ring = &world.rings[op->a[0]];
  if (ring->address == 0) return 1;
  const unsigned long size = op->a[1] * PAGE < ring->size ? op->a[1] * PAGE : ring->size;
  const long result =
      native_call(SYS_mremap, ring->address, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, op->a[2], 0);
  if (result == (long)op->a[2]) ring->address = op->a[2];
  return result;
}

static sigjmp_buf bad_page;
static inline void on_bad_page(int number) {
  siglongjmp(bad_page, number);
}
static inline void watch_for_bad_pages(void) {
  signal(SIGBUS, on_bad_page);
  signal(SIGSEGV, on_bad_page);
}

static inline long forge_ring(const struct operation* op) {
  const struct ring* ring = &world.rings[op->a[0]];
  if (ring->address == 0) return 1;
  watch_for_bad_pages();
  if (sigsetjmp(bad_page, 1) != 0) return 2;
  *(volatile unsigned long*)ring->address = ring->id | 0x47524f46UL << 32;
  return 0;
}

static inline long destroy_ring(const struct operation* op) {
  if (world.rings[op->a[0]].address == 0) return 1;
  const long result = by_whom(op);
  world.rings[op->a[0]].address = 0;
  return result;
}

static inline unsigned long text_page(void) {
  return (unsigned long)&move_ring / PAGE * PAGE;
}

/* The first child is the first process of a new pid namespace; nothing can be started any more when it is
 * gone. So the child goes on. */
static inline long unshare_some(const struct operation* op) {
  if (unshare((int)op->a[0]) != 0) return -errno;
  if ((op->a[0] & CLONE_NEWIPC) != 0) make_segments(LARGEST_SEGMENT, 2 * PAGE);
  if ((op->a[0] & CLONE_NEWPID) != 0) go_on_in_child();
  return 0;
}

/* What the other image does: it is this program with "map" as its first argument. */
static inline int map_in_other_image(char** arguments) {
  const unsigned long at = strtoul(arguments[2], NULL, 16), size = strtoul(arguments[3], NULL, 16);
  const long got = native_call(SYS_mmap, at, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1UL, 0);
  return got == (long)at ? 0 : (int)-got;
}

static inline long exec_child(const struct operation* op) {
  char at[20], size[20], mode[] = "map";
  char* arguments[] = {world.self, mode, at, size, NULL};
  snprintf(at, sizeof at, "%lx", op->a[0]);
  snprintf(size, sizeof size, "%lx", op->a[1]);
  const pid_t child = vfork();
  if (child < 0) return -1000 - errno;
  if (child == 0) {
    execv(world.self, arguments);
    _exit(200);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? -WEXITSTATUS(status) : -1000 - WTERMSIG(status);
}

/* One that the supervisor hears of: it calls, seals something of its own, or is a program that does. */
static inline int one_child(int executes) {
  const pid_t child = fork();
  if (child < 0) return -errno;
  if (child == 0) {
    char* options = getenv("MSEAL_OPTIONS");
    char* automatic = options != NULL ? strstr(options, "auto=off") : NULL;
    if (automatic != NULL) memcpy(automatic, "auto=elf", 8);
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, 2); /* what the library has to say when the supervisor can do no more */
    if (executes) execl("/bin/true", "true", (char*)NULL);
    native_call(SYS_mprotect, world.arena, PAGE, PROT_READ, 0, 0, 0);
    (void)call_mseal(slot_start(PAGES - 1), PAGE);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return 0; /* a program may not start at all, when the supervisor can do no more */
}

static inline long children(const struct operation* op) {
  long result = 0;
  for (unsigned long count = 0; count < op->a[0] && result == 0; ++count) result = one_child(op->a[1] != 0);
  return result;
}

static inline long limit_files(unsigned long limit, pid_t process) {
  struct rlimit both;
  if (prlimit(process, RLIMIT_NOFILE, NULL, &both) != 0) return -errno;
  both.rlim_cur = limit;
  return prlimit(process, RLIMIT_NOFILE, &both, NULL) == 0 ? 0 : -errno;
}

/* Whether there is one is not for the twins to tell: one of them has none. */
static inline long limit_supervisor(unsigned long limit) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 1;
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  text[size < 0 ? 0 : size] = 0;
  char* rest = text;
  for (char* word = strtok_r(rest, " ", &rest); word != NULL; word = strtok_r(rest, " ", &rest)) {
    char name[32] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", word);
    const int comm = open(path, O_RDONLY | O_CLOEXEC);
    if (comm < 0) continue;
    if (read(comm, name, sizeof name - 1) > 0 && strncmp(name, "mseal-superviso", 15) == 0)
      (void)limit_files(limit, (pid_t)atoi(word));
    close(comm);
  }
  return 0;
}

static inline long old_mmap(const struct operation* op) {
  static unsigned arguments[6]; /* below 4 GiB, as the program is */
  for (int index = 0; index < 4; ++index) arguments[index] = (unsigned)op->a[index];
  arguments[4] = ~0U;
  return i386_call(op->garbage, 90, (unsigned long)arguments, 0, 0, 0, 0, 0);
}

/* All but fresh, fork and leader_exits, which are for whoever runs the sequence. */
static inline long perform(const struct operation* op) {
  switch (op->kind) {
    case op_io_setup:
      return set_up_ring(op);
    case op_move_ring:
      return move_ring(op);
    case op_forge_ring:
      return forge_ring(op);
    case op_io_destroy:
      return destroy_ring(op);
    case op_unshare:
      return unshare_some(op);
    case op_exec_child:
      return exec_child(op);
    case op_limit_files:
      return limit_files(op->a[0], 0);
    case op_limit_supervisor:
      return limit_supervisor(op->a[0]);
    case op_children:
      return children(op);
    case op_mseal_shared:
      return mseal_shared(op);
    case op_race_stack:
      return race_stack(op);
    case op_old_mmap:
      return old_mmap(op);
    case op_protect_text:
      return native_call(SYS_mprotect, text_page(), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0);
    case op_io_uring_setup:
      return native_call(SYS_io_uring_setup, 4, 0, 0, 0, 0, 0);
    case op_uselib:
      return native_call(SYS_uselib, 0, 0, 0, 0, 0, 0);
    case op_memfd_create_huge: {
      const long file = native_call(SYS_memfd_create, (unsigned long)"huge", MFD_HUGETLB, 0, 0, 0, 0);
      if (file >= 0) close((int)file);
      return file >= 0 ? 0 : file;
    }
    default:
      return by_whom(op);
  }
}

#endif
