/* libmseal: static variables in memory whose protection the program changes.
 *
 * Under `auto=data` the static data of every object stays where it is and as it is protected, for good; what
 * is in it may change. A program that makes some of its own variables read-only later, or maps something over
 * them, marks these:
 *
 *   static struct settings settings MSEAL_MUTABLE = {...};
 *   ...
 *   mprotect(&settings, MSEAL_MUTABLE_SIZE(settings), PROT_READ);
 *
 * They lie on pages of their own and are left out; mseal() seals them when they are ready. What is mapped
 * from a file keeps its contents only under discard=strict: the kernel's own rule lets madvise(MADV_DONTNEED)
 * take a variable back to what the file says. For C and C++, with GNU as (which GCC and Clang use); not under
 * link-time optimisation of the file that includes this.
 *
 * OpenBSD's section .openbsd.mutable is the same idea, there marked by the linker. */
#ifndef LIBMSEAL_MUTABLE_H
#define LIBMSEAL_MUTABLE_H

#ifdef __aarch64__
#define MSEAL_MUTABLE_PAGE 65536 /* the largest that a kernel may have */
#else
#define MSEAL_MUTABLE_PAGE 4096
#endif

#define MSEAL_MUTABLE __attribute__((section("mseal_mutable"), aligned(MSEAL_MUTABLE_PAGE)))

/* The pages of a variable, in bytes. */
#define MSEAL_MUTABLE_SIZE(variable) \
  ((sizeof(variable) + MSEAL_MUTABLE_PAGE - 1) / MSEAL_MUTABLE_PAGE * MSEAL_MUTABLE_PAGE)

#define MSEAL_MUTABLE_TEXT2(value) #value
#define MSEAL_MUTABLE_TEXT(value) MSEAL_MUTABLE_TEXT2(value)

/* The end of what this file puts there fills its page, so that nothing else lies on it: subsections come in
 * the order of their numbers. */
__asm__(".pushsection mseal_mutable, 8000, \"aw\", @progbits\n"
        ".balign " MSEAL_MUTABLE_TEXT(MSEAL_MUTABLE_PAGE) "\n"
        ".popsection\n");

/* Where the section is, for libmseal.so: a note of the object, one however many files include this. */
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
