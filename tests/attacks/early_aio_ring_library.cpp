// Its constructor runs before that of libmseal, and makes an aio ring.
#include "tests/attacks/early_aio_ring.h"

#include "tests/attacks/aio_ring.h"

namespace {

const libmseal::policy::Range g_ring = libmseal::tests::new_ring();

}  // namespace

libmseal::policy::Range early_aio_ring() {
  return g_ring;
}
