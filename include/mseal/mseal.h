/* libmseal: mseal(2) on kernels that have none.
 *
 * Use it from a program that is started with LD_PRELOAD=libmseal.so or linked with -lmseal. Every function
 * here returns -1 and sets errno on failure, unless it says otherwise. They may be called from any thread;
 * mseal and mimmutable not from a signal handler that interrupted a fork.
 */
#ifndef LIBMSEAL_MSEAL_H
#define LIBMSEAL_MSEAL_H

#include <stddef.h>

/* As glibc declares mseal, where it does. */
#if defined __cplusplus && __cplusplus >= 201103L
#define MSEAL_NOTHROW noexcept
#elif defined __cplusplus
#define MSEAL_NOTHROW throw()
#else
#define MSEAL_NOTHROW
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* For the protection of mmap: the new mapping is sealed from birth, with no moment in between. Without
 * MAP_FIXED it takes no filter and no message, so there may be as many of these as the kernel has room for;
 * at a fixed address, in huge pages and where there is no supervisor the mapping is made and then
 * sealed, and mmap fails as mseal does if that can't be. An address that is given as a hint is not honoured.
 * By libc's mmap and syscall() alone: in a raw system call the kernel ignores the bit. From signal
 * handlers only after the first use. */
#ifndef PROT_SEAL
#define PROT_SEAL 0x04000000
#endif

/* For the flags of mmap: the new mapping is placed where sealing it later is cheap. That takes one message
 * and no filter: any number of such mappings can be sealed, and calls elsewhere stay as fast as they were. A
 * call that changes one, sealed or not, takes longer, for the supervisor is asked. The flag changes nothing
 * with MAP_FIXED or MAP_HUGETLB (where the bit is a part of the size of a huge page), and where there is no
 * supervisor. An address that is given as a hint is not honoured. By libc's mmap and syscall() alone, as
 * PROT_SEAL. */
#ifndef MAP_SEALABLE
#define MAP_SEALABLE 0x08000000
#endif

/* Seals every mapping in [addr, addr + len), for good: until the process ends or calls execve, no thread of
 * it and no child forked later can unmap, move, resize, replace or re-protect any page of it, nor discard the
 * contents of private memory that is not writable. Such a call fails with EPERM and changes nothing.
 *
 * addr   a multiple of the page size
 * len    bytes, rounded up to whole pages; 0 seals nothing and succeeds
 * flags  must be 0
 *
 * Sealing what is sealed already succeeds. The rules are those of mseal(2) as documented in the kernel's
 * Documentation/userspace-api/mseal.rst; libmseal(7) lists where the answers differ.
 *
 * EINVAL  flags are not 0, addr is not a multiple of the page size, addr + len overflows, or the range begins
 * or ends inside of a huge page that is not sealed already
 * ENOMEM  a page of the range is not mapped (nothing is sealed), or there is no room for more seals
 * EACCES  the option sealable=required is set, and the memory is not what MAP_SEALABLE has placed
 * EAGAIN  the seal could not be enforced in every process that has the memory: another one shares it (vfork,
 * clone) or may share it, a thread runs under filters of its own, the program made an io_uring before its
 * first seal, or the supervisor does not know the process
 */
int mseal(void* addr, size_t len, unsigned long flags) MSEAL_NOTHROW;

struct mseal_range {
  void* addr; /* as in mseal */
  size_t len;
};

/* Seals all the ranges, or none. One call for many ranges costs far less, in time and in the kernel's memory
 * for filters, than one call each: about 6,000 scattered ranges fit where single calls end at some 900.
 *
 * ranges  in any order; they may overlap
 * count   0 seals nothing and succeeds
 * flags   must be 0
 *
 * Errors are those of mseal, of whichever range has one; and
 * EINVAL  ranges is a null pointer and count is not 0
 * ENOMEM  also if the ranges are more than one call takes (16384 after joining neighbours) */
int mseal_ranges(const struct mseal_range* ranges, size_t count, unsigned long flags);

/* Seals what is loaded now: of every object that the dynamic linker knows, the program and those that dlopen
 * has loaded among them, the text, the constants and RELRO. This is what the option auto=elf does at start
 * (with auto=data, the static data as well); the options skip and mutable hold. For a program that loads its
 * plug-ins, and then nothing more. A sealed object stays mapped: dlclose fails to unmap it.
 *
 * flags   must be 0
 *
 * Errors are those of mseal, and
 * EAGAIN  also if another thread is loading or sealing objects at this moment; what was ready is sealed, and
 * the call may be repeated */
int mseal_loaded(unsigned long flags);

/* Types of seals, of the series' third round: what a seal refuses. The base is part of all of them. */
#define MSEAL_TYPE_SEAL 1UL            /* adding a type later */
#define MSEAL_TYPE_BASE 2UL            /* unmapping, moving, resizing and replacing */
#define MSEAL_TYPE_PROT_PKEY 4UL       /* changing the protection or the protection key */
#define MSEAL_TYPE_DISCARD_RO_ANON 8UL /* discarding the contents of private memory that is not writable */

/* As mseal, but the seals refuse only what `types` names: any of MSEAL_TYPE_*, joined by |. Types add up: a
 * later call may add some, and none is ever taken away. MSEAL_TYPE_BASE | MSEAL_TYPE_PROT_PKEY |
 * MSEAL_TYPE_DISCARD_RO_ANON is mseal. MSEAL_TYPE_DISCARD_RO_ANON in a call without MSEAL_TYPE_PROT_PKEY
 * protects the contents of private memory whether it is writable or not, for that may change. Where both
 * types are there already, it adds nothing.
 *
 * Errors are those of mseal, and
 * EINVAL      types is 0, or has other bits
 * EACCES      a page of the range has MSEAL_TYPE_SEAL and lacks one of the types
 * EOPNOTSUPP  the backend is `kernel`, for mseal(2) has no types, and types are not all three */
int mseal_types(void* addr, size_t len, unsigned long types);

/* OpenBSD's name for it: the same as mseal(addr, len, 0), but addr is rounded down to a page, as OpenBSD
 * does. */
int mimmutable(void* addr, size_t len);

enum mseal_state {
  MSEAL_STATE_NONE = 0, /* no page is sealed */
  MSEAL_STATE_PARTLY = 1,
  MSEAL_STATE_FULLY = 2, /* every page is sealed */
};

/* How much of [addr, addr + len) has been sealed through this library, at start or by a call. The range is
 * rounded out to whole pages. Seals of the calling process count, those that it was forked with among them.
 *
 * EINVAL  len is 0, or the range overflows */
int mseal_query(const void* addr, size_t len);

/* Into *types: the types that the seals of every page of [addr, addr + len) have, joined by |; 0 if a page is
 * not sealed. Otherwise as mseal_query.
 *
 * EINVAL  len is 0, the range overflows, or types is a null pointer */
int mseal_query_types(const void* addr, size_t len, unsigned long* types);

#ifdef __cplusplus
}
#endif

#endif
