// The registry's indexes: nothing may be missing in them, for a process that is not found has no seals.
#include "shim/supervisor/registry/images.h"

#include <new>

#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

using supervisor::Image;
using supervisor::Images;
using supervisor::MmIdentity;
using Some = Images::Some;

Image image_at(std::uint64_t stack) {
  Image image;
  image.identity.start_stack = stack;
  return image;
}

MmIdentity memory_at(std::uint64_t stack) {
  return image_at(stack).identity;
}

TEST_CASE("images are found by their processes and by their memory") {
  Images images;
  Image& first = images.add(image_at(0x1000));
  Image& second = images.add(image_at(0x2000));
  Image& same = images.add(image_at(0x1000));
  CHECK(images.with_memory(memory_at(0x1000)) == Some{&first, &same});
  CHECK(images.with_memory(memory_at(0x2000)) == Some{&second});
  CHECK(images.with_memory(memory_at(0x3000)).empty());
  (void)images.member(first, {100, 1});
  (void)images.member(second, {100, 2});
  (void)images.member(second, {100, 2});
  (void)images.member(second, {200, 2});
  CHECK(images.with_member(100) == Some{&first, &second});
  CHECK(images.with_member(200) == Some{&second});
  CHECK(images.with_member(300).empty());
  CHECK(second.members.size() == 2);

  SECTION("also when others are forgotten") {
    images.forget_if([&](const Image& image) { return &image == &first; });
    CHECK(images.with_memory(memory_at(0x1000)) == Some{&same});
    CHECK(images.with_member(100) == Some{&second});
    CHECK(std::distance(images.begin(), images.end()) == 2);
  }
  SECTION("also when forgetting fails") {
    const auto fail = [&](const Image& image) { return &image == &same ? throw std::bad_alloc() : true; };
    CHECK_THROWS_AS(images.forget_if(fail), std::bad_alloc);
    CHECK(images.with_memory(memory_at(0x1000)) == Some{&first, &same});
    CHECK(images.with_member(100) == Some{&first, &second});
    CHECK(std::distance(images.begin(), images.end()) == 3);
  }
  SECTION("not those that have lost the process, once something is forgotten") {
    first.members.clear();
    CHECK(images.with_member(100) == Some{&first, &second});
    images.forget_if([](const Image&) { return false; });
    CHECK(images.with_member(100) == Some{&second});
  }
}

}  // namespace
}  // namespace libmseal::tests
