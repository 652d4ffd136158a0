// A fork does not inherit a part of the static data, which is sealed from the start, and seals something else
// there.
#include "tests/attacks/successor.h"

using namespace libmseal::tests;

namespace {

alignas(kLargestPage) char g_data[2 * kLargestPage];

}  // namespace

int main() {
  for (char& byte : g_data) byte = 'v';
  if (raw_syscall(__NR_madvise, g_data, sizeof g_data, MADV_DONTFORK) != 0) cannot_try("madvise");
  const auto hole = reinterpret_cast<std::uint64_t>(g_data);
  const int child = ::fork();
  if (child == 0) leave(worse_of(seal_and_detach_segment(hole), seal_and_discard(hole + kLargestPage)));
  return outcome_of(child);
}
