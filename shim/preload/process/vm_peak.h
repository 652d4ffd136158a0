// VmPeak in /proc/PID/status: the most memory that a process has had mapped. Every process can read it.
#pragma once

#include <cstdint>

namespace libmseal::shim {

// Maps that much for a moment. From then on nobody reads a lower VmPeak of this memory, whatever others who
// share it do: it never decreases. (It may appear higher than it is: while the kernel moves a mapping, it
// counts it twice, and then restores the peak; mm/mremap.c, move_vma.) False if there is no room.
bool raise_vm_peak(std::uint64_t bytes);

}  // namespace libmseal::shim
