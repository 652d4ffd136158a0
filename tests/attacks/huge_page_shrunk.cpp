// mremap that makes a mapping of huge pages smaller, with an old size that ends in the small pages behind it.
// The kernel rounds the old size up to whole huge pages and unmaps all that lies up to there (mm/mremap.c,
// align_hugetlb and shrink_vma), so the page that is unmapped is beyond what the call names. Such a mapping
// needs neither rights nor huge pages. `before_seal`: it is there before anything is sealed.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint64_t kHugePage = 2 << 20;

struct Form {
  const char* name;
  std::uint64_t place;
  std::uint64_t new_size;
  int flags;
};
constexpr Form kForms[] = {
    {"mremap in place", 0x2000'0100'0000, kHugePage, 0},
    {"mremap to less than a huge page", 0x2000'0200'0000, kPage, MREMAP_MAYMOVE},
    {"mremap to elsewhere", 0x2000'0300'0000, kHugePage, MREMAP_MAYMOVE | MREMAP_FIXED},
};

long map_huge_page(const Form& form) {
  return raw_syscall(__NR_mmap, form.place, kHugePage, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

int attack(const Form& form, bool is_mapped) {
  const Victim victim = Victim::page(form.place + kHugePage + kHugePage / 2);
  const long mapped = is_mapped ? 0 : map_huge_page(form);
  if (libmseal::shim::failed(mapped)) return conclude(victim, "mmap(MAP_HUGETLB)", mapped);
  constexpr std::uint64_t kElsewhere = 0x2100'0000'0000;
  return conclude(
      victim, form.name,
      raw_syscall(__NR_mremap, form.place, kHugePage + kPage, form.new_size, form.flags, kElsewhere));
}

}  // namespace

int main(int, char** arguments) {
  const bool early = std::strstr(arguments[0], "before_seal") != nullptr;
  for (const Form& form : kForms) {
    if (early && libmseal::shim::failed(map_huge_page(form))) cannot_try("mmap(MAP_HUGETLB)");
  }
  int worst = kHeld;
  for (const Form& form : kForms) worst = worse_of(worst, attack(form, early));
  return worst;
}
