/* Says which parts of its own memory may still be re-protected, each by name: text, constants, data, bss,
 * what it has marked mutable, and the kernel's vdso. With -DMARKED it carries the note that asks for sealing.
 */
#include <errno.h>
#include <mseal/mutable.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef MARKED
__asm__(
    ".pushsection .note.wants.sealing, \"a\", @note\n"
    ".balign 8\n"
    ".long 4, 8, list_of_properties\n" /* 5, but by the linker, which would complain: it does not know this
                                          one */
    ".asciz \"GNU\"\n"
    ".long 3, 0\n" /* GNU_PROPERTY_MEMORY_SEAL */
    ".popsection\n");
#endif

enum { kSpace = 3 * 65536 }; /* has a whole page of any kernel in it */

static const char constants[kSpace] = {1};
static char data[kSpace] = {1};
static char bss[kSpace];
static char changing[100] MSEAL_MUTABLE = {1};
static char changing_too[100] MSEAL_MUTABLE;

extern long syscall(long, ...);

__attribute__((noinline)) static void try_to_protect(const char* name, const void* address, size_t size,
                                                     int protection) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const uintptr_t start = ((uintptr_t)address + (size > page ? page - 1 : 0)) & -page;
  if (mprotect((void*)start, page, protection) == 0) printf("%s ", name);
}

int main(void) {
  static char out[1024];
  setvbuf(stdout, out, _IOFBF, sizeof out);
  try_to_protect("text", (const void*)&try_to_protect, 1, PROT_READ | PROT_EXEC);
  try_to_protect("constants", constants, sizeof constants, PROT_READ);
  try_to_protect("data", data, sizeof data, PROT_READ);
  try_to_protect("bss", bss, sizeof bss, PROT_READ);
  try_to_protect("mutable", changing, 1, PROT_READ);
  try_to_protect("mutable_too", changing_too, 1, PROT_READ);
  try_to_protect("vdso", (const void*)getauxval(AT_SYSINFO_EHDR), 1, PROT_READ | PROT_EXEC);
  data[kSpace - 1] = bss[kSpace - 1] = 1; /* what is in it may change */
  printf("\n");
  return 0;
}
