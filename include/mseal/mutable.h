/* libmseal: static variables whose protection the program changes.
 *
 * Under `auto=data` the place and protection of all static data is sealed at start; its contents may change.
 * If the program later makes some variables read-only, or maps something over them, it must mark these:
 *
 *   static struct settings settings MSEAL_MUTABLE = {...};
 *   ...
 *   mprotect(&settings, MSEAL_MUTABLE_SIZE(settings), PROT_READ);
 *
 * Marked variables lie on pages of their own and are not sealed at start; the program can call mseal() when
 * they are ready. They are mapped from a file: only discard=strict protects their contents, while the
 * kernel's rule lets madvise(MADV_DONTNEED) reset a variable to its value in the file. For C and C++ with GNU
 * as (which GCC and Clang use); not if the including file is compiled with link-time optimization.
 *
 * OpenBSD's section .openbsd.mutable serves the same purpose. */
#ifndef LIBMSEAL_MUTABLE_H
#define LIBMSEAL_MUTABLE_H

#ifdef __aarch64__
#define MSEAL_MUTABLE_PAGE 65536 /* the largest page size */
#else
#define MSEAL_MUTABLE_PAGE 4096
#endif

#define MSEAL_MUTABLE __attribute__((section("mseal_mutable"), aligned(MSEAL_MUTABLE_PAGE)))

/* The size of the pages of a variable, in bytes. */
#define MSEAL_MUTABLE_SIZE(variable) \
  ((sizeof(variable) + MSEAL_MUTABLE_PAGE - 1) / MSEAL_MUTABLE_PAGE * MSEAL_MUTABLE_PAGE)

#define MSEAL_MUTABLE_TEXT2(value) #value
#define MSEAL_MUTABLE_TEXT(value) MSEAL_MUTABLE_TEXT2(value)

/* Pads the last page of the section, so that nothing else lies on it: subsections are in numerical order. */
__asm__(".pushsection mseal_mutable, 8000, \"aw\", @progbits\n"
        ".balign " MSEAL_MUTABLE_TEXT(MSEAL_MUTABLE_PAGE) "\n"
        ".popsection\n");

/* A note that tells libmseal.so where the section is; one per object (comdat). */
__asm__(
    ".pushsection .note.mseal.mutable,\"aG\",@note,libmseal_mutable,comdat\n"
    ".balign 4\n"
    ".long 6, 16, 1\n" /* sizes of name and value, type */
    ".asciz \"mseal\"\n"
    ".balign 4\n"
    ".weak __start_mseal_mutable\n"
    ".hidden __start_mseal_mutable\n"
    ".weak __stop_mseal_mutable\n"
    ".hidden __stop_mseal_mutable\n"
    ".quad __start_mseal_mutable - .\n"
    ".quad __stop_mseal_mutable - .\n"
    ".popsection\n");

#endif
