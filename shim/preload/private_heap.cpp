#include "shim/preload/private_heap.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstring>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

constexpr std::size_t kBytes = std::size_t{8} << 20;  // reserved; only what is written takes memory
constexpr std::size_t kFewestBytes = std::size_t{1} << 20;
constexpr std::size_t kAlignment = alignof(std::max_align_t);

char* g_memory = nullptr;
std::size_t g_size = 0;
std::size_t g_used = 0;

// Each block is preceded by its size, for realloc.
void* allocate(std::size_t size) {
  if (g_memory == nullptr || size > g_size - g_used) return nullptr;
  const std::size_t taken = kAlignment + (size + kAlignment - 1) / kAlignment * kAlignment;
  if (taken > g_size - g_used) return nullptr;
  char* const block = g_memory + g_used + kAlignment;
  g_used += taken;
  std::memcpy(block - sizeof size, &size, sizeof size);
  return block;
}

std::size_t size_of(const void* block) {
  std::size_t size = 0;
  std::memcpy(&size, static_cast<const char*>(block) - sizeof size, sizeof size);
  return size;
}

}  // namespace

PrivateHeap::PrivateHeap() {
  long memory = -1;
  g_size = 2 * kBytes;
  while (failed(memory) && g_size > kFewestBytes) {  // a limit on memory (ulimit -v) may leave room for less
    g_size /= 2;
    memory = raw_syscall(__NR_mmap, 0, g_size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  g_memory = failed(memory) ? nullptr : reinterpret_cast<char*>(memory);
  g_used = 0;
}

PrivateHeap::~PrivateHeap() {
  if (g_memory != nullptr) (void)raw_syscall(__NR_munmap, g_memory, g_size);
  g_memory = nullptr;
}

extern "C" {

// The linker's names for the redirected functions. Memory is fresh from the kernel, so calloc has nothing to
// clear. NOLINTBEGIN(bugprone-reserved-identifier)
void* __wrap_malloc(std::size_t size);
void* __wrap_calloc(std::size_t count, std::size_t size);
void* __wrap_realloc(void* block, std::size_t size);
void __wrap_free(void* block);
char* __wrap_strdup(const char* text);

void* __wrap_malloc(std::size_t size) {
  return allocate(size);
}

void* __wrap_calloc(std::size_t count, std::size_t size) {
  std::size_t bytes = 0;
  return __builtin_mul_overflow(count, size, &bytes) ? nullptr : allocate(bytes);
}

void* __wrap_realloc(void* block, std::size_t size) {
  void* const grown = allocate(size);
  if (grown != nullptr && block != nullptr) {
    const std::size_t old_size = size_of(block);
    std::memcpy(grown, block, old_size < size ? old_size : size);
  }
  return grown;
}

void __wrap_free(void* block) {
  (void)block;
}

char* __wrap_strdup(const char* text) {
  const std::size_t size = std::strlen(text) + 1;
  void* const copy = allocate(size);
  return copy == nullptr ? nullptr : static_cast<char*>(std::memcpy(copy, text, size));
}
// NOLINTEND(bugprone-reserved-identifier)

}  // extern "C"

}  // namespace libmseal::shim
