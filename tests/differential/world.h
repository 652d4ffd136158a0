/* What a twin has: its arena, files, segments and rings. Linux on x86_64, as root. */
#ifndef LIBMSEAL_WORLD
#define LIBMSEAL_WORLD

#include <sys/types.h>

#include "tests/differential/operation_kinds.h"

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

static pid_t keeper; /* the parent of the first twin, which adopts the supervisor */

static inline unsigned long slot_start(unsigned long slot) {
  const unsigned long huge =
      (world.arena + PAGES * PAGE + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE + 8 * HUGE_PAGE;
  return slot < PAGES ? world.arena + slot * PAGE : huge + (slot - PAGES) * HUGE_PAGE;
}
static inline unsigned long slot_size(unsigned long slot) {
  return slot < PAGES ? PAGE : HUGE_PAGE;
}

#endif
