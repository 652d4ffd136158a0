#include "policy/rules/seal_request.h"

#include <cerrno>

namespace libmseal::policy {

long check_request(const Machine& machine, std::uint64_t address, std::uint64_t length, Range& range) {
  // Addresses of the kernel's half have no tags (arch/x86/include/asm/uaccess_64.h, untagged_addr).
  const bool upper_half = address >> 63 != 0;
  const std::uint64_t start = upper_half ? address : address & machine.address_mask;
  const std::uint64_t rounded = round_up(length, machine.page_size);
  if (start % machine.page_size != 0 || (length != 0 && rounded == 0)) return -EINVAL;
  range = Range::of(start, rounded);
  return range.end < range.start ? -EINVAL : 0;
}

Seal seal_of(const Vma& vma, const Range& part, DiscardRule rule, SealTypes types) {
  Seal seal{part};
  seal.types = types;
  const bool stays_writable = vma.writable && seal.has(kProtectionType);
  seal.discard_protected = seal.has(kContentsType) && !stays_writable && !vma.shared &&
                           (rule == DiscardRule::strict || vma.anonymous());
  // MAP_GROWSDOWN is only possible for private anonymous memory (mm/mmap.c, do_mmap); maps does not show it.
  seal.may_grow_down = !vma.shared && vma.anonymous();
  // Every System V segment has this name (ipc/shm.c, newseg). shmdt() finds its mappings by this difference.
  if (vma.name.starts_with("/SYSV")) seal.attachment = vma.range.start - vma.offset;
  return seal;
}

bool may_have_huge_pages(const Machine& machine, const Vma& vma) {
  const std::uint64_t smallest = machine.huge_pages.front();
  // A System V segment has its ID as inode number, which may be 0.
  const bool has_file = vma.inode != 0 || !vma.anonymous();
  return has_file && vma.range.start % smallest == 0 && vma.range.end % smallest == 0;
}

}  // namespace libmseal::policy
