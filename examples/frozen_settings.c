/* Static variables that are filled when the program starts and can't be changed after that:
 *
 *   cc frozen_settings.c -lmseal -o frozen_settings
 *   mseal run --auto=data --discard=strict -- ./frozen_settings
 *
 * Under auto=data all other static data is sealed where it is before main; what is marked is left to the
 * program. By the kernel's own rule, what is mapped from a file, as static variables are, may be reset to its
 * contents in the file, sealed or not; discard=strict refuses that, on kernels with mseal(2) as well. */
#include <errno.h>
#include <mseal/mseal.h>
#include <mseal/mutable.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct settings {
  char name[64];
  int port;
};

static struct settings settings MSEAL_MUTABLE;

static const char* outcome(int result) {
  return result == 0 ? "done" : strerror(errno);
}

int main(void) {
  strcpy(settings.name, "example");
  settings.port = 4242;

  const size_t size = MSEAL_MUTABLE_SIZE(settings); /* it lies on pages of its own */
  printf("protect the settings:   %s\n", outcome(mprotect(&settings, size, PROT_READ)));
  printf("seal them:              %s\n", outcome(mseal(&settings, size, 0)));
  printf("make them writable:     %s\n", outcome(mprotect(&settings, size, PROT_READ | PROT_WRITE)));
  printf("throw them back:        %s\n", outcome(madvise(&settings, size, MADV_DONTNEED)));
  printf("they still say:         %s, %d\n", settings.name, settings.port);
  return 0;
}
