/* An object to be loaded, of the kind that the definitions ask for: answer() is 42 if it works. */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
#else
int answer(void) { return count(); }
#endif
