/* What is there before the first operation. */
#ifndef LIBMSEAL_SET_UP
#define LIBMSEAL_SET_UP

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/differential/calls.h"
#include "tests/differential/operation_kinds.h"
#include "tests/differential/world.h"

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

#endif
