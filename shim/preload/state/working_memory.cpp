#include "shim/preload/state/working_memory.h"

#include <sys/mman.h>

#include "shim/common/raw_syscall.h"
#include "shim/preload/messages/message.h"

namespace libmseal::shim {

WorkingMemory& map_working_memory() {
  // MAP_STACK prevents huge pages (Linux 6.7, mm/mmap.c: calc_vm_flag_bits): most of it is never touched.
  const long mapped = raw_syscall(__NR_mmap, 0, sizeof(WorkingMemory), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (failed(mapped)) {
    Message() << "no memory for the library, " << ErrorText{mapped} << "; the program is not started";
    end_program();
  }
  return *reinterpret_cast<WorkingMemory*>(mapped);
}

}  // namespace libmseal::shim
