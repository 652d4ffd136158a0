// mseal(2) by a raw system call, while a madvise that began before it waits. The program has told the
// supervisor before, past the library, that the page is sealed.
#include "policy/protocol/control.h"
#include "tests/attacks/stalled_discard.h"

using namespace libmseal::tests;

namespace {

// With the attributes that the supervisor finds when it looks for itself.
void say_that_it_is_sealed(char* at, std::size_t size) {
  libmseal::policy::Seal seal;
  seal.range = libmseal::policy::Range::of(reinterpret_cast<std::uint64_t>(at), size);
  seal.discard_protected = true;
  seal.may_grow_down = true;
  const auto said = libmseal::policy::encode({libmseal::policy::Control::Kind::add_supervised, seal});
  (void)raw_syscall(libmseal::policy::kMsealNumber, said[0], said[1], said[2], said[3], said[4], said[5]);
}

}  // namespace

int main() {
  return StalledDiscard(discard_by_madvise).end_after([](char* at, std::size_t size) {
    say_that_it_is_sealed(at, size);
    return raw_syscall(libmseal::policy::kMsealNumber, at, size, 0);
  });
}
