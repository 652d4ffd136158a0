/* One operation of a sequence. This file and those that do the operations (world.h to twin_process.h) are C
 * and C++: the twins include them, and they are pasted into the program that shows a difference, so that it
 * does the very same. */
#ifndef LIBMSEAL_OPERATION_KINDS
#define LIBMSEAL_OPERATION_KINDS

#define PAGE 4096UL
#define PAGES 48UL /* of the arena */
#define HUGE_PAGE (2UL << 20)
#define HUGE_SLOTS 3UL /* behind the arena, each of one huge page */
#define SLOTS (PAGES + HUGE_SLOTS)
#define HEAP_PAGE 32UL /* the arena's pages from here on are the heap that brk moves */
#define RINGS 8UL
#define SEGMENTS 3UL
#define LARGEST_SEGMENT (6 * PAGE)

/* name and number of arguments */
#define OPERATION_KINDS(X)                                                                                   \
  X(mmap, 5) /* address, length, protection, flags, file: one of file_kind */                                \
  X(munmap, 2)                                                                                               \
  X(mprotect, 3)                                                                                             \
  X(pkey_mprotect, 4)                                                                                        \
  X(madvise, 3)                                                                                              \
  X(mremap, 5)                                                                                               \
  X(remap_file_pages, 5)                                                                                     \
  X(brk, 1)                                                                                                  \
  X(shmat, 3) /* number of the segment, address, flags */                                                    \
  X(shmdt, 1)                                                                                                \
  X(mseal, 3)                                                                                                \
  X(fresh, 1)            /* new memory in a slot, unless it is sealed */                                     \
  X(fork, 0)             /* the child goes on with what follows */                                           \
  X(io_setup, 2)         /* number of the ring, events */                                                    \
  X(move_ring, 3)        /* number of the ring, pages of it, to where */                                     \
  X(forge_ring, 1)       /* writes the number that the kernel looks for to where the ring was */             \
  X(io_destroy, 1)       /* number of the ring */                                                            \
  X(unshare, 1)          /* flags */                                                                         \
  X(exec_child, 2)       /* a child becomes another image and maps memory at address, length */              \
  X(leader_exits, 0)     /* the first thread ends, another one goes on */                                    \
  X(limit_files, 1)      /* RLIMIT_NOFILE of this process */                                                 \
  X(limit_supervisor, 1) /* RLIMIT_NOFILE of the supervisor, if there is one */                              \
  X(children, 2)         /* so many, one after the other; each executes a program if the second is not 0 */  \
  X(mseal_shared,                                                                                            \
    3)             /* address, length, how: while another process shares the memory, which then unmaps it */ \
  X(race_stack, 1) /* a thread changes the page at the address while this one protects the stack there */    \
  X(old_mmap, 4)   /* i386's, arguments in memory: address, length, protection, flags */                     \
  X(protect_text, 0) /* makes the program's own text writable, which is sealed from the start if auto=elf */ \
  X(io_uring_setup, 0)                                                                                       \
  X(uselib, 0)                                                                                               \
  X(memfd_create_huge, 0)

enum operation_kind {
#define X(name, arguments) op_##name,
  OPERATION_KINDS(X)
#undef X
};

enum file_kind { no_file, plain_file, huge_file, segment_like_file, file_kinds };

/* Who makes the call. All of them share the memory. */
enum caller {
  by_self,
  by_thread, /* one that was there before the seals */
  by_vfork_child,
  by_sharer,  /* clone(CLONE_VM) */
  by_sibling, /* clone(CLONE_VM | CLONE_VFORK | CLONE_PARENT): a child of the parent */
  callers
};

enum sharing { vfork_of_thread, sibling_of_thread, plain_sharer, orphan, sharings };

struct operation {
  enum operation_kind kind;
  enum caller caller;
  unsigned garbage; /* not 0: by int 0x80, with this in the upper halves of the registers; 1: nothing there */
  unsigned long a[6];
};

#endif
