// A table in C++ that is built with standard containers and then frozen: read-only and sealed.
//
//   c++ -std=c++20 sealed_region.cpp -lmseal -o sealed_region && ./sealed_region
//
// The vector itself is made in the region, not only its elements, so that the pointers it consists of are
// sealed as well. It is never destroyed: nothing frees what is sealed, and a destructor that writes to it
// would end the program.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory_resource>
#include <mseal/sealed_region.hpp>
#include <string>
#include <system_error>
#include <vector>

namespace {

struct Route {
  using allocator_type = std::pmr::polymorphic_allocator<>;  // its string comes from the region, too
  Route(const char* where, int next_hop, allocator_type memory) : network(where, memory), hop(next_hop) {}
  Route(Route&& other, allocator_type memory) : network(std::move(other.network), memory), hop(other.hop) {}

  std::pmr::string network;
  int hop;
};
using Routes = std::pmr::vector<Route>;

std::string outcome(int result) {
  return result == 0 ? "done" : std::generic_category().message(errno);
}

}  // namespace

int main() try {
  libmseal::sealed_region region;
  Routes& routes = *std::pmr::polymorphic_allocator<>(&region).new_object<Routes>();
  routes.emplace_back("192.0.2.0/24, the first of the networks for documentation", 1);
  routes.emplace_back("198.51.100.0/24, the second", 2);
  region.freeze();

  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  auto* const start = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(&routes) & -page);
  std::printf("mprotect:     %s\n", outcome(mprotect(start, page, PROT_READ | PROT_WRITE)).c_str());
  std::printf("munmap:       %s\n", outcome(munmap(start, page)).c_str());
  try {
    routes.reserve(100);
    std::puts("another one:  done");
  } catch (const std::bad_alloc& refused) {
    std::printf("another one:  %s\n", refused.what());
  }
  for (const Route& route : routes) std::printf("hop %d:        %s\n", route.hop, route.network.c_str());
} catch (const std::system_error& error) {  // of freeze()
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
