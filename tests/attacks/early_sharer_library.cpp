// Its constructor runs before that of libmseal, and creates a process that shares the memory.
#include "tests/attacks/early_sharer_serving.h"

using namespace libmseal::tests;

namespace {

const int g_sharer_process = ::clone(serve, stack_top<0>(), CLONE_VM, nullptr);

}  // namespace

bool has_early_sharer() {
  return g_sharer_process > 0;
}
