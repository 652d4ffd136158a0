/* How the operations of operation_kinds.h are done. Linux on x86_64, as root. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct ring {
  unsigned long address; /* 0: none */
  unsigned long size;
  unsigned id;
};

static struct {
  unsigned long arena;
  char self[256]; /* this program's file */
  long segments[SEGMENTS];
  unsigned long segment_sizes[SEGMENTS];
  int files[file_kinds];
  struct ring rings[RINGS];
  unsigned long largest_ring;
  int asked_for_seals; /* mseal has been called: from then on ours lets some calls never happen */
} world;

static inline unsigned long slot_start(unsigned long slot) {
  const unsigned long huge =
      (world.arena + PAGES * PAGE + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE + 8 * HUGE_PAGE;
  return slot < PAGES ? world.arena + slot * PAGE : huge + (slot - PAGES) * HUGE_PAGE;
}
static inline unsigned long slot_size(unsigned long slot) {
  return slot < PAGES ? PAGE : HUGE_PAGE;
}

/* ---- system calls, past libc and whatever stands in front of it ---- */

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

/* ---- the single operations ---- */

static inline void fresh(unsigned long slot) {
  const unsigned long at = slot_start(slot);
  if (slot >= PAGES) {
    native_call(SYS_mmap, at, HUGE_PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB | MAP_NORESERVE, -1UL, 0);
    return;
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    const long got = native_call(SYS_mmap, at, PAGE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1UL, 0);
    if (got == (long)at) {
      *(volatile unsigned long*)at = 'a' + slot % 26 + (slot << 8);
      return;
    }
    native_call(SYS_munmap, at / HUGE_PAGE * HUGE_PAGE, HUGE_PAGE, 0, 0, 0, 0); /* a part of a huge page */
  }
}

/* Wherever the maker is, its segments have the same ids, but not the same sizes. */
static inline void make_segments(unsigned long first, unsigned long second) {
  const unsigned long sizes[SEGMENTS] = {first, second, PAGE};
  for (unsigned long index = 0; index < SEGMENTS; ++index) {
    const int huge = index == 2;
    world.segments[index] = shmget(huge ? 0x48554745 : IPC_PRIVATE, sizes[index],
                                   IPC_CREAT | 0600 | (huge ? SHM_HUGETLB | SHM_NORESERVE : 0));
    world.segment_sizes[index] = huge ? HUGE_PAGE : sizes[index];
  }
}

static inline int fail_set_up(const char* what) {
  fprintf(stderr, "cannot set up: %s: %s\n", what, strerror(errno));
  return 3;
}

/* All else stays as it is, which takes no privilege. */
static inline int move_heap(unsigned long start, unsigned long end) {
  char text[2048];
  unsigned long long field[52] = {0};
  const int stat = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  const ssize_t size = read(stat, text, sizeof text - 1);
  close(stat);
  if (size <= 0) return -1;
  text[size] = 0;
  char* rest = strrchr(text, ')') + 1; /* field 3 follows */
  for (unsigned number = 3; number < 52; ++number) {
    while (*rest == ' ') ++rest;
    if (number == 3)
      ++rest; /* a letter */
    else
      field[number] = strtoull(rest, &rest, 10);
  }
  struct prctl_mm_map map;
  memset(&map, 0, sizeof map);
  map.start_code = field[26], map.end_code = field[27];
  map.start_data = field[45], map.end_data = field[46];
  map.start_brk = start, map.brk = end;
  map.start_stack = field[28];
  map.arg_start = field[48], map.arg_end = field[49];
  map.env_start = field[50], map.env_end = field[51];
  map.exe_fd = (unsigned)-1;
  return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0UL);
}

static inline int set_up(unsigned long arena) {
  world.arena = arena;
  if (readlink("/proc/self/exe", world.self, sizeof world.self - 1) <= 0)
    return fail_set_up("/proc/self/exe");
  /* malloc gets all that it will ever need before the heap goes elsewhere. */
  mallopt(M_TOP_PAD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  void* volatile some = malloc(100000); /* or the compiler leaves it out */
  free(some);
  if (unshare(CLONE_NEWIPC) != 0) return fail_set_up("unshare(CLONE_NEWIPC)");
  make_segments(2 * PAGE, LARGEST_SEGMENT);
  world.files[no_file] = -1;
  world.files[plain_file] = memfd_create("plain", 0);
  world.files[huge_file] = memfd_create("huge", MFD_HUGETLB);
  if (ftruncate(world.files[plain_file], 8 * PAGE) != 0 ||
      ftruncate(world.files[huge_file], 4 * HUGE_PAGE) != 0)
    return fail_set_up("memfd");
  /* A file that /proc shows as it shows a segment, on a file system of its own. */
  const int context = (int)syscall(SYS_fsopen, "tmpfs", 0UL);
  if (syscall(SYS_fsconfig, context, 6 /* create */, NULL, NULL, 0UL) != 0) return fail_set_up("tmpfs");
  const int mount = (int)syscall(SYS_fsmount, context, 0UL, 0UL);
  world.files[segment_like_file] = openat(mount, "SYSV00000000", O_RDWR | O_CREAT, 0600);
  if (ftruncate(world.files[segment_like_file], 8 * PAGE) != 0) return fail_set_up("SYSV00000000");
  close(context);
  close(mount);
  for (unsigned long slot = 0; slot < SLOTS; ++slot) fresh(slot);
  /* Where the program is sealed, nobody may move its heap any more. */
  const char* const options = getenv("MSEAL_OPTIONS");
  const int is_sealed = options != NULL && strstr(options, "auto=elf") != NULL;
  if (!is_sealed && move_heap(slot_start(HEAP_PAGE), slot_start(PAGES - 1) + PAGE) != 0)
    return fail_set_up("PR_SET_MM_MAP");
  start_other_thread();
  return 0;
}

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

static pid_t keeper; /* the parent of the first twin, which adopts the supervisor */

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

static inline long old_mmap(const struct operation* op) {
  static unsigned arguments[6]; /* below 4 GiB, as the program is */
  for (int index = 0; index < 4; ++index) arguments[index] = (unsigned)op->a[index];
  arguments[4] = ~0U;
  return i386_call(op->garbage, 90, (unsigned long)arguments, 0, 0, 0, 0, 0);
}

/* The heap of a program at a fixed address is anywhere in the first GiB: where the arena is to be, start
 * again. */
static inline void start_elsewhere(unsigned long arena, char** arguments) {
  const unsigned long heap = (unsigned long)sbrk(0), room = 16 << 20;
  if (heap + room > arena && heap < arena + 4 * room) execv("/proc/self/exe", arguments);
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
