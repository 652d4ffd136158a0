// Other processes that run in this memory: filters installed here do not reach them.
#pragma once

namespace libmseal::shim {

// 1: a child made by vfork or clone(CLONE_VM) runs in this process's memory, or a child that can't be looked
// at might. 0: there is none. -errno: it could not be found out.
long memory_is_shared();

}  // namespace libmseal::shim
