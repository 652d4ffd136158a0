// i386 calls by int 0x80 with garbage in the upper halves of the registers, which the kernel drops and
// seccomp_data keeps. Each call has a victim of its own; one lies just below 4 GiB, one ends above.
#include "tests/attacks/attack.h"
#include "tests/attacks/int80.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  constexpr std::uint32_t kMunmap = 91, kMprotect = 125, kMremap = 163, kMmap2 = 192, kMadvise = 219,
                          kPkeyMprotect = 380;
  constexpr std::uint64_t kFixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  int worst = kHeld;
  std::uint64_t next = 0x2000'0000;
  const auto attack = [&](const char* name, auto attempt, std::uint64_t where = 0) {
    const Victim victim = Victim::page(where != 0 ? where : next);
    next += 0x10'0000;
    worst = worse_of(conclude(victim, name, attempt(victim.address())), worst);
  };
  const std::uint64_t source = reinterpret_cast<std::uint64_t>(map_at(0x3000'0000, 4 * kPage));

  attack("munmap", [&](std::uint64_t at) { return int80_garbage(kMunmap, at, kPage); });
  attack(
      "munmap just below 4 GiB", [&](std::uint64_t at) { return int80_garbage(kMunmap, at, kPage); },
      0xFFFF'E000);
  (void)map_at(0xFFFF'F000, kPage);
  attack(
      "munmap across 4 GiB", [&](std::uint64_t) { return int80_garbage(kMunmap, 0xFFFF'F000, 2 * kPage); },
      0x1'0000'0000);
  attack("munmap, garbage in the length",
         [&](std::uint64_t at) { return int80_whole(kMunmap, at, kPage | kGarbage, 0, 0, 0); });
  attack("munmap, garbage in the address",
         [&](std::uint64_t at) { return int80_whole(kMunmap, at | kGarbage, kPage, 0, 0, 0); });
  attack("munmap, a length that wraps with its garbage",
         [&](std::uint64_t at) { return int80_whole(kMunmap, at, kPage | (~0ULL << 32), 0, 0, 0); });
  attack("mprotect",
         [&](std::uint64_t at) { return int80_garbage(kMprotect, at, kPage, PROT_READ | PROT_WRITE); });
  attack("pkey_mprotect", [&](std::uint64_t at) {
    return int80_garbage(kPkeyMprotect, at, kPage, PROT_READ | PROT_WRITE, 0xFFFF'FFFF);
  });
  attack("mmap2",
         [&](std::uint64_t at) { return int80_garbage(kMmap2, at, kPage, PROT_READ, kFixed, 0xFFFF'FFFF); });
  attack("madvise", [&](std::uint64_t at) { return int80_garbage(kMadvise, at, kPage, MADV_DONTNEED); });
  attack("mremap away", [&](std::uint64_t at) {
    return int80_garbage(kMremap, at, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, 0x3100'0000);
  });
  attack("mremap onto it", [&](std::uint64_t at) {
    return int80_garbage(kMremap, source, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, at);
  });
  attack("mremap onto it, garbage in the target", [&](std::uint64_t at) {
    return int80_whole(kMremap, source + kPage, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, at | kGarbage);
  });
  // Of its own kind: a shared mapping, replaced by another part of its file.
  constexpr std::uint32_t kRemapFilePages = 257;
  const int file = ::memfd_create("file", 0);
  char* const shared = reinterpret_cast<char*>(0x3200'0000);
  if (file < 0 || ::ftruncate(file, 4 * kPage) != 0 ||
      ::mmap(shared, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0) !=
          shared) {
    cannot_try("a shared mapping");
  }
  for (std::size_t page = 0; page < 4; ++page)
    std::memset(shared + page * kPage, 'a' + static_cast<int>(page), kPage);
  const Victim victim(shared, 4 * kPage);
  const long answer = int80_garbage(kRemapFilePages, victim.address(), kPage, 0, 2, 0);
  return worse_of(conclude(victim, "remap_file_pages", answer), worst);
}
