// Files and sockets that lines go to, as hostile as they come; and readers of a table whose writer is dead.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "shim/common/printable.h"
#include "shim/common/seal_table.h"
#include "shim/preload/state/local_seals.h"
#include "shim/preload/supervisor/table_reader.h"
#include "shim/supervisor/events/line_file.h"
#include "shim/supervisor/events/system_log.h"
#include "shim/supervisor/registry/table_file.h"
#include "tests/support/catch.h"
#include "tests/support/folder.h"
#include "tests/support/needs.h"

namespace libmseal::tests {
namespace {

namespace fs = std::filesystem;
using supervisor::LineFile;
using supervisor::SystemLog;
using supervisor::TableFile;

TEST_CASE("output: in a folder that others write to, no link and no file of others is followed") {
  for (const mode_t mode : {0777, 01777, 0700}) {
    const bool shared = mode != 0700;
    INFO(std::oct << mode);
    const Folder folder(mode);
    std::ofstream(folder.file("precious")) << "precious";
    fs::create_symlink("precious", folder.file("soft"));
    fs::create_hard_link(folder.file("precious"), folder.file("hard"));
    CHECK(LineFile().open(folder.file("soft")) == (shared ? ELOOP : 0));
    CHECK(LineFile().open(folder.file("hard")) == (shared ? EACCES : 0));
    CHECK(LineFile().open(folder.file("new")) == 0);
    CHECK(LineFile().open(folder.file("new")) == 0);
    CHECK((fs::status(folder.file("new")).permissions() & fs::perms::others_all) == fs::perms::none);
    if (!needs(::geteuid() == 0, "root, to give files away")) continue;
    std::ofstream(folder.file("others")) << "";
    ::mkfifo(folder.file("pipe").c_str(), 0666);
    for (const char* name : {"others", "pipe"})
      REQUIRE(::chown(folder.file(name).c_str(), 65534, 65534) == 0);
    const int reader = ::open(folder.file("pipe").c_str(), O_RDONLY | O_NONBLOCK);
    CHECK(LineFile().open(folder.file("others")) == (shared ? EACCES : 0));
    CHECK(LineFile().open(folder.file("pipe")) == (shared ? EACCES : 0));
    ::close(reader);
  }
}

TEST_CASE("output: a full pipe, socket or disk loses lines; what comes later is whole") {
  std::array<int, 2> ends{};
  for (const bool socket : {false, true}) {
    INFO((socket ? "socket" : "pipe"));
    REQUIRE((socket ? ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) : ::pipe(ends.data())) == 0);
    LineFile file;
    REQUIRE(file.adopt(ends[1]) == 0);
    CHECK((::fcntl(ends[1], F_GETFL) & O_NONBLOCK) == 0);  // it is the program's as well
    const std::string line(99, 'x');
    int why = 0;
    for (int count = 0; count < 100'000 && why == 0; ++count) why = file.write(line + "\n");
    CHECK(why == EAGAIN);
    CHECK(file.write(line + "\n") == EAGAIN);
    std::vector<char> read(1 << 20);
    while (::recv(ends[0], read.data(), read.size(), MSG_DONTWAIT) > 0) {
    }
    if (!socket) CHECK(::read(ends[0], read.data(), read.size()) > 0);
    CHECK(file.write("after\n") == 0);
    const ssize_t got = ::read(ends[0], read.data(), read.size());
    REQUIRE(got >= 6);
    CHECK(std::string(read.data(), static_cast<std::size_t>(got)).ends_with("\nafter\n") == (got > 6));
    ::close(ends[0]);
    ::close(ends[1]);
  }
  LineFile full;
  REQUIRE(full.open("/dev/full") == 0);
  CHECK(full.write("line\n") == ENOSPC);
}

TEST_CASE("output: a log daemon that reads nothing holds nobody up, and one that starts anew is found") {
  const Folder folder(0700);
  const std::string path = folder.file("log");
  const auto listen = [&] {
    ::unlink(path.c_str());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int daemon = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(daemon, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return daemon;
  };
  SystemLog log(path.c_str());
  CHECK(log.write(LOG_ERR, "nobody") == ENOENT);
  int daemon = listen();
  int why = 0;
  for (int count = 0; count < 100'000 && why == 0; ++count) why = log.write(LOG_ERR, "line");
  CHECK(why == EAGAIN);
  std::array<char, 256> text{};
  const ssize_t got = ::recv(daemon, text.data(), text.size(), 0);
  REQUIRE(got > 0);
  CHECK(std::string(text.data()).starts_with("<11>"));
  CHECK(std::string(text.data()).ends_with("mseal-supervisor[" + std::to_string(::getpid()) + "]: line"));
  ::close(daemon);
  daemon = listen();
  CHECK(log.write(LOG_ERR, "again") == 0);
  ::close(daemon);
}

TEST_CASE("output: names steer no terminal and begin no line") {
  using shim::printable;
  CHECK(printable("/usr/bin/a b\\c'\"") == "/usr/bin/a b\\c'\"");
  CHECK(printable("a\nb\x1b[2J\x7f\t") == "a\\x0ab\\x1b[2J\\x7f\\x09");
  CHECK(printable("\u00e4\u20ac\U0001f512") == "\u00e4\u20ac\U0001f512");
  CHECK(printable("\u009b") == "\\xc2\\x9b");                      // CSI in 8 bits
  CHECK(printable("\x9b\xff\xe2\x82") == "\\x9b\\xff\\xe2\\x82");  // no UTF-8
}

TEST_CASE("output: a table that its writer left half-written keeps no reader waiting") {
  TableFile original;
  original.add({{0x10000, 0x20000}, true});
  std::vector<char> bytes(shim::kTableBytes);
  REQUIRE(::pread(original.descriptor(), bytes.data(), bytes.size(), 0) ==
          static_cast<ssize_t>(bytes.size()));
  const int copy = ::memfd_create("copy", MFD_CLOEXEC);
  REQUIRE(::write(copy, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  auto* const root = static_cast<shim::TableRoot*>(
      ::mmap(nullptr, shim::kTableBytes, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0));
  REQUIRE(root != MAP_FAILED);
  const void* memory = nullptr;
  REQUIRE(shim::map_table(copy, memory) == 0);
  CHECK(shim::table_coverage(memory, {0x10000, 0x20000}) == policy::Coverage::fully);
  CHECK(shim::table_coverage(memory, {0x30000, 0x40000}) == policy::Coverage::none);
  root->table->generation.fetch_add(1);
  CHECK(shim::table_coverage(memory, {0x30000, 0x40000}) == policy::Coverage::partly);
  shim::unmap_table(memory);
  ::munmap(root, shim::kTableBytes);
}

TEST_CASE("output: a process forked while another thread writes the local seals has them whole") {
  using LocalSeals = shim::LatchedList<policy::Seal, 8192>;
  const auto local_seals = std::make_unique<LocalSeals>();
  constexpr std::uint64_t kFirst = 2000;
  const auto seal = [](std::uint64_t number) {
    return policy::Seal{{number * 0x2000, number * 0x2000 + 0x1000}};
  };
  for (std::uint64_t number = kFirst; number < 2 * kFirst; ++number) REQUIRE(local_seals->add(seal(number)));
  std::atomic<bool> over = false;
  std::thread writer([&] {
    // Each goes before all others.
    for (std::uint64_t number = kFirst - 1; number > 0 && !over; --number)
      (void)local_seals->add(seal(number));
  });
  int good = 0;
  constexpr int kForks = 50;
  for (int round = 0; round < kForks; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(5);
      const auto is_whole = [&] {
        return local_seals->consult([&](std::span<const policy::Seal> seals) {
          const std::span last = seals.last(kFirst);
          for (std::uint64_t index = 0; index < kFirst; ++index) {
            if (!(last[index] == seal(kFirst + index))) return false;
          }
          return true;
        });
      };
      const bool fine = is_whole() && local_seals->add(seal(0)) && is_whole();
      ::_exit(fine ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    good += status == 0 ? 1 : 0;
  }
  over = true;
  writer.join();
  CHECK(good == kForks);
}

TEST_CASE("output: the table of a small program takes one page") {
  TableFile table;
  table.set_tree({}, {});
  table.set_policy("", "");
  table.add_fences(std::vector<supervisor::Fence>(8));
  for (std::uint64_t number = 1; number <= 12; ++number)
    table.add({{number * 0x2000, number * 0x2000 + 0x1000}});
  struct stat status {};
  REQUIRE(::fstat(table.descriptor(), &status) == 0);
  CHECK(status.st_blocks * 512 == ::sysconf(_SC_PAGESIZE));
  CHECK(status.st_size == static_cast<off_t>(shim::kTableBytes));
}

TEST_CASE("output: a table has room for the most of everything, in any order") {
  const std::string text(shim::kOptionTextBytes - 1, 'x');
  const auto seal = [](std::uint64_t number) {
    return policy::Seal{{number * 0x2000, number * 0x2000 + 0x1000}};
  };
  std::vector<std::function<void(TableFile&)>> steps{
      [&](TableFile& table) {
        for (std::uint64_t number = 1; number < shim::kMostSeals - 3; ++number) table.add(seal(number));
      },
      [&](TableFile& table) { table.add_fences(std::vector<supervisor::Fence>(shim::kMostFences)); },
      [&](TableFile& table) { CHECK(table.put(std::vector(shim::kMostPieces, seal(1)), {}, {}) != 0); },
      [&](TableFile& table) {
        CHECK(table.put({}, std::vector<policy::KeyedRange>(shim::kMostKeyed), {}) != 0);
      },
      [&](TableFile& table) { table.set_policy(text, text); },
  };
  for (int order = 0; order < 5; ++order) {
    std::ranges::rotate(steps, steps.begin() + 1);
    TableFile table;
    for (const auto& step : steps) step(table);
    const void* memory = nullptr;
    REQUIRE(shim::map_table(::fcntl(table.descriptor(), F_DUPFD_CLOEXEC, 0), memory) == 0);
    CHECK(shim::table_coverage(memory, seal(shim::kMostSeals - 4).range) == policy::Coverage::fully);
    CHECK(shim::table_coverage(memory, seal(shim::kMostSeals).range) == policy::Coverage::none);
    CHECK(shim::table_fences(memory).size() == shim::kMostFences);
    CHECK(shim::table_policy(memory) == text);
    CHECK(shim::table_complaints(memory) == text);
    shim::unmap_table(memory);
  }
}

TEST_CASE("output: who reads a table while its seals are moved sees them all") {
  constexpr int kRounds = 200;
  std::size_t wrong = 0;
  for (int round = 0; round < kRounds; ++round) {
    TableFile table;
    table.add({{0x1000, 0x2000}});
    const void* memory = nullptr;
    REQUIRE(shim::map_table(::fcntl(table.descriptor(), F_DUPFD_CLOEXEC, 0), memory) == 0);
    std::atomic<bool> over = false;
    std::thread reader([&] {
      while (!over)
        wrong += shim::table_coverage(memory, {0x1000, 0x2000}) == policy::Coverage::fully ? 0 : 1;
    });
    for (std::uint64_t number = 2; number < 60; ++number)  // it moves once
      table.add({{number * 0x2000, number * 0x2000 + 0x1000}});
    over = true;
    reader.join();
    shim::unmap_table(memory);
  }
  CHECK(wrong == 0);
}

TEST_CASE("output: a full table says that everything may be sealed, and stays so") {
  TableFile table;
  const int copy = ::fcntl(table.descriptor(), F_DUPFD_CLOEXEC, 0);
  const void* memory = nullptr;
  REQUIRE(shim::map_table(copy, memory) == 0);
  for (std::uint64_t number = 1; number <= shim::kMostSeals; ++number)
    table.add({{number * 0x2000, number * 0x2000 + 0x1000}});
  CHECK(shim::table_coverage(memory, {0x1000, 0x2000}) == policy::Coverage::fully);
  table.add({{0x1000, 0x2000}, false, true, policy::kWholeSeal, 7});
  CHECK(shim::table_coverage(memory, {0x7000'0000'0000, 0x7000'0000'1000}) == policy::Coverage::fully);
  shim::unmap_table(memory);
}

}  // namespace
}  // namespace libmseal::tests
