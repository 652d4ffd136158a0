/* An object to be loaded, of the kind that the definitions ask for: answer() is 42 if it works. */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mseal/mseal.h"

static volatile char text[] = "the answer is forty-two, and these are as many";

static int count(void) { return (int)strlen((const char*)text) - 4; } /* by way of the procedure linkage table */

#ifdef WITH_IFUNC
static int other(void) { return 1; }
static int (*choose(void))(void) { return text[0] == 't' ? count : other; }
static int chosen(void) __attribute__((ifunc("choose")));
int answer(void) { return chosen(); }
#elif defined(WITH_TEXTREL)
/* An address in the text, which the dynamic linker has to write there. */
__asm__(
    ".pushsection .text\n"
    ".balign 8\n"
    "address_in_text: .quad number_in_data\n"
    ".popsection\n");
extern const uint64_t address_in_text __attribute__((visibility("hidden")));
__attribute__((used)) int number_in_data = 42;
int answer(void) { return count() == 42 ? *(const int*)(uintptr_t)*(const volatile uint64_t*)&address_in_text : 0; }
#elif defined(WITH_PATCH)
/* Changes its own instructions before it is used. */
__attribute__((noinline, aligned(64))) static int patched(void) {
  int number = 41;
  __asm__ volatile("" : "+r"(number)); /* or callers know what it returns */
  return number;
}
__attribute__((constructor)) static void patch(void) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  char* const start = (char*)((uintptr_t)&patched & -page);
  if (mprotect(start, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return;
  for (char* at = (char*)(uintptr_t)&patched; at < (char*)(uintptr_t)&patched + 16; ++at) {
#ifdef __x86_64__
    if (*at == 41) *at = 42; /* mov $41, %eax */
#else
    uint32_t* const instruction = (uint32_t*)((uintptr_t)at & -4UL);
    if (*instruction == 0x52800520) *instruction = 0x52800540; /* mov w0, #41 */
#endif
  }
  __builtin___clear_cache(start, start + 2 * page);
  mprotect(start, 2 * page, PROT_READ | PROT_EXEC);
}
int answer(void) { return count() == 42 ? patched() : 0; }
#elif defined(SEALS_EARLY)
/* Seals in its constructor, by every function, which may run before that of the library. */
static int failures;
__attribute__((constructor)) static void seal_early(void) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char* const memory = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  failures += mimmutable(memory, 1) != 0;
  failures += mseal(memory + page, page, 0) != 0;
  failures += syscall(462, memory + 2 * page, page, 0) != 0;
  failures += mseal_query(memory, 3 * page) != MSEAL_STATE_FULLY || munmap(memory, 3 * page) == 0;
  char* const born_sealed = mmap(NULL, page, PROT_READ | PROT_SEAL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  failures += born_sealed == MAP_FAILED || munmap(born_sealed, page) == 0;
}
int answer(void) { return failures == 0 ? count() : failures; }
#else
int answer(void) { return count(); }
#endif
