/* Lets the tool run on glibc 2.28 and later, whichever version it was built with (LIBMSEAL_OLD_GLIBC).
 * Functions that newer versions provide under new version names are defined here, so that the linker does not
 * look for them elsewhere. They are hidden. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* Version names of glibc 2.33. The kernel's struct is libc's on these machines. */
HIDDEN int stat(const char* path, struct stat* status) {
  return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, 0);
}
HIDDEN int lstat(const char* path, struct stat* status) {
  return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
HIDDEN int fstat(int file, struct stat* status) {
  return (int)syscall(SYS_fstat, file, status);
}
HIDDEN int fstatat(int folder, const char* path, struct stat* status, int flags) {
  return (int)syscall(SYS_newfstatat, folder, path, status, flags);
}
HIDDEN int stat64(const char* path, struct stat64* status) {
  return stat(path, (struct stat*)status);
}
HIDDEN int lstat64(const char* path, struct stat64* status) {
  return lstat(path, (struct stat*)status);
}
HIDDEN int fstat64(int file, struct stat64* status) {
  return fstat(file, (struct stat*)status);
}
HIDDEN int fstatat64(int folder, const char* path, struct stat64* status, int flags) {
  return fstatat(folder, path, (struct stat*)status, flags);
}

/* The rest is for libstdc++, whose archive is linked. A flag of glibc 2.32: never true, it counts references
 * atomically. */
HIDDEN char __libc_single_threaded;

/* Of glibc 2.36. */
HIDDEN unsigned arc4random(void) {
  unsigned number = 0;
  if (getentropy(&number, sizeof number) != 0) abort();
  return number;
}

/* In libpthread before 2.34. The tool has one thread. */
HIDDEN int pthread_once(pthread_once_t* once, void (*routine)(void)) {
  if (*once == PTHREAD_ONCE_INIT) {
    *once = 1;
    routine();
  }
  return 0;
}
/* Nobody calls it: that it is there says that pthread_once is. */
HIDDEN int __pthread_key_create(void) {
  return -1;
}

/* Since 2.34 the startup code hands over no function that runs the constructors; older ones ask for it. */
#ifdef __x86_64__
__asm__(".symver old_start_main, __libc_start_main@GLIBC_2.2.5");
#else
__asm__(".symver old_start_main, __libc_start_main@GLIBC_2.17");
#endif
typedef int Main(int, char**, char**);
typedef void Constructor(int, char**, char**);
extern int old_start_main(Main*, int, char**, Constructor*, void (*)(void), void (*)(void), void*);
extern Constructor* const __preinit_array_start[] HIDDEN;
extern Constructor* const __preinit_array_end[] HIDDEN;
extern Constructor* const __init_array_start[] HIDDEN;
extern Constructor* const __init_array_end[] HIDDEN;

static void construct(int count, char** arguments, char** environment) {
  for (Constructor* const* one = __preinit_array_start; one != __preinit_array_end; ++one)
    (*one)(count, arguments, environment);
  for (Constructor* const* one = __init_array_start; one != __init_array_end; ++one)
    (*one)(count, arguments, environment);
}

HIDDEN int __libc_start_main(Main* program, int count, char** arguments, Constructor* init,
                             void (*fini)(void), void (*unload)(void), void* stack) {
  (void)init;
  return old_start_main(program, count, arguments, construct, fini, unload, stack);
}
