// Which mappings lie in a range, and whether they can be sealed.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "policy/rules/fixed_vector.h"
#include "shim/common/pieces.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

// A file with that text, as /proc would show it.
long file_with(std::string_view text) {
  const int file = ::memfd_create("text", MFD_CLOEXEC);
  REQUIRE(::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  REQUIRE(::lseek(file, 0, SEEK_SET) == 0);
  return file;
}

TEST_CASE("a range must not begin or end inside a huge page of any size") {
  // Two pages of 16 GiB, as arm64 has them with pages of 64 KiB.
  const auto open = [](const char* name) {
    const std::string line = "400000000-c00000000 r--p 00000000 00:0f 7 /dev/hugepages/file\n";
    const bool has_sizes = std::string_view(name) == "smaps";
    return file_with(has_sizes ? line + "KernelPageSize: 16777216 kB\n" : line);
  };
  const policy::Machine machine = policy::arm64_machine(65536);
  shim::PieceSearch search(machine, policy::DiscardRule::strict, policy::kWholeSeal, open);
  const auto find = [&](const policy::Range& range) {
    policy::FixedVector<policy::Seal, 8> pieces;
    return search.find({&range, 1}, pieces, 8);
  };
  CHECK(find({16 * kGiB, 48 * kGiB}) == 0);
  CHECK(find({16 * kGiB, 32 * kGiB}) == 0);
  CHECK(find({17 * kGiB, 48 * kGiB}) == -EINVAL);
  CHECK(find({16 * kGiB, 47 * kGiB}) == -EINVAL);
  CHECK(find({16 * kGiB, 49 * kGiB}) == -ENOMEM);
}

}  // namespace
}  // namespace libmseal::tests
