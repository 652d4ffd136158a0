#include "policy/parsers/mount_line.h"

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

TEST_CASE("a second procfs is found by its type and its place") {
  CHECK_FALSE(mounts_proc_elsewhere("22 30 0:20 / /proc rw,relatime - proc proc rw"));
  CHECK_FALSE(mounts_proc_elsewhere("40 22 0:20 /sys /proc/sys ro,relatime - proc proc rw"));
  CHECK(mounts_proc_elsewhere("41 30 0:20 / /srv/jail/proc rw,relatime shared:12 - proc none rw"));
  CHECK(mounts_proc_elsewhere("41 30 0:20 / /procfs rw - proc proc rw"));
  CHECK_FALSE(mounts_proc_elsewhere("25 30 0:5 / /srv/proc rw,relatime - tmpfs proc rw,size=1"));
  CHECK_FALSE(mounts_proc_elsewhere(""));
  CHECK_FALSE(mounts_proc_elsewhere("no line - proc "));
}

TEST_CASE("a procfs that hides processes says so") {
  CHECK(hides_processes("22 30 0:20 / /proc rw,relatime shared:5 - proc proc rw,hidepid=invisible"));
  CHECK(hides_processes("22 30 0:20 / /proc rw,relatime - proc proc rw,gid=30,hidepid=2"));
  CHECK_FALSE(hides_processes("22 30 0:20 / /proc rw,relatime - proc proc rw"));
  CHECK_FALSE(hides_processes("22 30 0:20 / /proc rw,relatime - tmpfs proc rw,hidepid=2"));
  CHECK_FALSE(hides_processes("22 30 0:20 / /,hidepid=2 rw,relatime - proc proc rw"));
  CHECK(mounts_proc("22 30 0:20 / /proc rw,relatime - proc proc rw"));
  CHECK_FALSE(mounts_proc("25 30 0:5 / /proc rw,relatime - tmpfs proc rw,size=1"));
}

}  // namespace
}  // namespace libmseal::policy
