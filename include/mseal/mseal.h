/* libmseal: mseal(2) on kernels without it.
 *
 * For programs that are started with LD_PRELOAD=libmseal.so or linked with -lmseal. Functions return -1 and
 * set errno on failure. They may be called from any thread. libmseal(3) describes all functions in full, and
 * which of them may be called from signal handlers.
 */
#ifndef LIBMSEAL_MSEAL_H
#define LIBMSEAL_MSEAL_H

#include <stddef.h>

/* Must match glibc's declaration of mseal. */
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

/* For the protection argument of mmap: the new mapping is sealed from the moment that it exists. It needs no
 * filter. There is room for 512 GiB of private memory that is not writable, and for as much other memory.
 * With MAP_FIXED or MAP_HUGETLB, and under the backends kernel and libc, the mapping is made and then sealed;
 * if that fails, mmap fails as mseal does. An address hint is ignored. Works only with libc's mmap and
 * syscall(): in a raw system call the kernel ignores the bit. Use it once outside of signal handlers before
 * you use it inside one. */
#ifndef PROT_SEAL
#define PROT_SEAL 0x04000000
#endif

/* For the flags argument of mmap: the new mapping is placed where sealing it later takes no filter. Up to
 * 65,536 such mappings can be sealed without slowing down calls elsewhere. A call that changes such a
 * mapping, sealed or not, takes longer, because the supervisor decides it. Sealed one by one, each seal takes
 * longer the more mappings there are; mseal_ranges seals many at once. The flag has no effect with MAP_FIXED
 * or MAP_HUGETLB (where the bit is part of the encoded page size), and without a supervisor. An address hint
 * is ignored. Works only with libc's mmap and syscall(). */
#ifndef MAP_SEALABLE
#define MAP_SEALABLE 0x08000000
#endif

/* Seals every mapping in [addr, addr + len): until the process ends or calls execve, none of its threads and
 * no child forked later can unmap, move, resize, replace or re-protect any page of it, or discard the
 * contents of private memory that is not writable. Such a call fails with EPERM and changes nothing.
 *
 * addr   a multiple of the page size
 * len    bytes, rounded up to whole pages; 0 seals nothing and succeeds
 * flags  must be 0
 *
 * Sealing a sealed range again succeeds. The rules are those of mseal(2) in the kernel's
 * Documentation/userspace-api/mseal.rst; libmseal(7) lists the differences.
 *
 * - EINVAL  flags is not 0, addr is not a multiple of the page size, addr + len overflows, or the range
 *           begins or ends inside a huge page that is not sealed yet
 * - ENOMEM  a page of the range is not mapped, or there is no room for more seals
 * - EACCES  the option sealable=required is set, and the range was not mapped with MAP_SEALABLE
 * - EAGAIN  the seal could not be enforced in every process that has this memory: another one shares it
 *           (vfork, clone) or may share it, a thread has filters of its own, the program created an io_uring
 *           before its first seal, or the supervisor does not know the process
 */
int mseal(void* addr, size_t len, unsigned long flags) MSEAL_NOTHROW;

struct mseal_range {
  void* addr; /* as in mseal */
  size_t len;
};

/* Seals all ranges, or none. One call for many ranges takes far less time and room for filters than single
 * calls: about 6,000 scattered ranges fit instead of 750.
 *
 * ranges  in any order; they may overlap
 * count   0 seals nothing and succeeds
 * flags   must be 0
 *
 * Errors are those of mseal, and
 * - EINVAL  ranges is a null pointer and count is not 0
 * - ENOMEM  also if there are more than 16,384 ranges after neighbours are joined */
int mseal_ranges(const struct mseal_range* ranges, size_t count, unsigned long flags);

/* Seals the text, the read-only data and RELRO of every loaded object: the program, its libraries, and what
 * dlopen has loaded. The option auto=elf does the same at start (auto=data also seals static data); the
 * options skip and mutable apply. For programs that have loaded all their plug-ins. dlclose can't unmap a
 * sealed object.
 *
 * flags   must be 0
 *
 * Errors are those of mseal, and
 * - EAGAIN  also if another thread is loading or sealing objects at this moment; the objects that were ready
 *           are sealed, and the call may be repeated */
int mseal_loaded(unsigned long flags);

/* What a seal refuses, as in version 3 of the kernel's mseal patch series. Every seal has the base type. */
#define MSEAL_TYPE_SEAL 1UL            /* adding a type later */
#define MSEAL_TYPE_BASE 2UL            /* unmapping, moving, resizing and replacing */
#define MSEAL_TYPE_PROT_PKEY 4UL       /* changing the protection or the protection key */
#define MSEAL_TYPE_DISCARD_RO_ANON 8UL /* discarding the contents of private memory that is not writable */

/* As mseal, but the seal refuses only what `types` names: any of MSEAL_TYPE_*, joined by |. Types accumulate:
 * a later call may add some, and none is ever removed. MSEAL_TYPE_BASE | MSEAL_TYPE_PROT_PKEY |
 * MSEAL_TYPE_DISCARD_RO_ANON is the same as mseal. MSEAL_TYPE_DISCARD_RO_ANON in a call without
 * MSEAL_TYPE_PROT_PKEY protects the contents of private memory whether it is writable or not, because that
 * may change. If the range already has both types, it changes nothing.
 *
 * Errors are those of mseal, and
 * - EINVAL      types is 0, or has other bits
 * - EACCES      a page of the range has MSEAL_TYPE_SEAL and lacks one of the types
 * - EOPNOTSUPP  the backend is `kernel`, because mseal(2) has no types, and types lacks one of these three */
int mseal_types(void* addr, size_t len, unsigned long types);

/* OpenBSD's name for mseal(addr, len, 0); addr is rounded down to a page. */
int mimmutable(void* addr, size_t len);

enum mseal_state {
  MSEAL_STATE_NONE = 0, /* no page is sealed */
  MSEAL_STATE_PARTLY = 1,
  MSEAL_STATE_FULLY = 2, /* every page is sealed */
};

/* How much of [addr, addr + len) has been sealed through this library, at start or by a call, including
 * inherited seals. The range is extended to whole pages. Returns an mseal_state.
 *
 * - EINVAL  len is 0, or the range overflows */
int mseal_query(const void* addr, size_t len);

/* Stores into *types the types that all pages of [addr, addr + len) have, joined by |; 0 if a page is not
 * sealed. Otherwise as mseal_query.
 *
 * - EINVAL  len is 0, the range overflows, or types is a null pointer */
int mseal_query_types(const void* addr, size_t len, unsigned long* types);

#ifdef __cplusplus
}
#endif

#endif
