// mseal system, in a mount namespace whose /etc is another one: the machine's own is never touched.
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/live/tool.h"
#include "tests/support/catch.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

// Runs a shell's script with that /etc. In /etc/lm are the library, its supervisor, the tool as `mseal`, and
// OWN_DATA_PROGRAM as `own` and, with the set-user-ID bit, as `root`. Nothing where that can't be had.
std::optional<Run> in_private_etc(const std::string& script) {
  if (!needs(::geteuid() == 0, "root, for an /etc of its own")) return {};
  const TemporaryPath folder("etc");
  std::filesystem::create_directory(folder.string());
  const std::string setup =
      "umask 022; cd /; F=" + folder.string() +
      "\nmount -t tmpfs -o mode=755 none $F"
      "\nfor one in ld.so.cache passwd group alternatives; do [ ! -e /etc/$one ] || cp -a /etc/$one $F; done"
      "\nmkdir $F/lm $F/libmseal; cp " MSEAL_TOOL " $F/lm/mseal; cp " LIBMSEAL_SO
      " $F/lm/libmseal.so; cp " MSEAL_SUPERVISOR " $F/lm; cp " OWN_DATA_PROGRAM
      " $F/lm/own; cp $F/lm/own $F/lm/root; chmod 4755 $F/lm/root; chmod go-w $F/lm/*"
      "\nmount --bind $F /etc; [ ! -e /etc/ld.so.preload ]; mseal=/etc/lm/mseal; enable=\"$mseal system "
      "enable --no-setuid\""
      "\nas_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"; }\n";
  Run result = run({{"unshare", "-m", "sh", "-euc", setup + script}, {{"MSEAL_OPTIONS", ""}}, {}, 60});
  INFO(result.err);
  if (!needs(result.err.find("unshare:") == std::string::npos, "unshare(2) of a mount namespace", "unshare"))
    return {};
  return result;
}

void says(const std::string& script, const std::string& expected) {
  INFO(script);
  const std::optional<Run> result = in_private_etc(script);
  if (!result) return;
  INFO("stdout: " << result->out << "\nstderr: " << result->err);
  CHECK(result->status == 0);
  CHECK(result->out == expected);
}

void refuses_to_enable(const std::string& script, const std::string& why) {
  INFO(script);
  const std::optional<Run> result = in_private_etc(script);
  if (!result) return;
  INFO("stdout: " << result->out);
  CHECK(result->status == 2);
  CHECK(result->out == "");
  CHECK_THAT(result->err, ContainsSubstring("mseal: ") && ContainsSubstring(why) &&
                              ContainsSubstring("nothing is changed"));
  CHECK_THAT(result->err, ContainsSubstring("preload: none"));
}

// Ends with what is left: no file.
const std::string kEnable =
    "trap 'status=$?; [ -e /etc/ld.so.preload ] || echo preload: none >&2; exit $status' EXIT\n";

TEST_CASE("tool: system enable loads the library into every program, and disable ends that") {
  says(
      "/etc/lm/own; $enable >/dev/null; cat /etc/ld.so.preload; stat -c %a /etc/ld.so.preload; "
      "/etc/lm/own; as_nobody /etc/lm/own; $mseal system disable >/dev/null; ls /etc/ld.so.preload* "
      "2>/dev/null || "
      "/etc/lm/own",
      kUnsealed + "/etc/lm/libmseal.so\n644\n" + kSealed + kSealed + kUnsealed);
}

TEST_CASE("tool: system keeps what else the list names, and does nothing twice") {
  says(
      "printf '# kept\\nlibm.so.6 /old/libmseal.so.0' >/etc/ld.so.preload; "
      "$enable >/dev/null 2>&1 || true; cat /etc/ld.so.preload; echo",
      "# kept\nlibm.so.6 /old/libmseal.so.0\n");  // that is not there
  says(
      "printf '# kept\\nlibm.so.6' >/etc/ld.so.preload; $enable | head -n 1; "
      "$enable; cat /etc/ld.so.preload; $mseal system disable; $mseal system disable; "
      "cat /etc/ld.so.preload",
      "/etc/ld.so.preload names /etc/lm/libmseal.so: every program that starts now loads it.\n"
      "/etc/ld.so.preload already names /etc/lm/libmseal.so.\n"
      "/etc/lm/libmseal.so\n# kept\nlibm.so.6\n"
      "/etc/ld.so.preload keeps its other lines: programs that start now do not load libmseal.so. Those that "
      "run keep their seals.\n"
      "/etc/ld.so.preload does not name libmseal.so: nothing to do.\n"
      "# kept\nlibm.so.6\n");
}

TEST_CASE("tool: system enable warns where init would depend on a supervisor") {
  std::error_code missing;
  const std::string init = std::filesystem::canonical("/sbin/init", missing).string();
  if (!needs(init.ends_with("/systemd/systemd"), "systemd as /sbin/init", "init")) return;
  const auto warnings = [](const std::string& policy) {
    return "printf '" + policy + "\\n' >/etc/libmseal/policy.toml; $enable | grep -c Warning || :";
  };
  says(warnings("backend = \"supervised\""), "1\n");
  says(warnings("backend = \"supervised\"\nauto = \"off\""), "0\n");
  says(warnings("backend = \"supervised\"\n[[program]]\nname = \"*/systemd/systemd\"\nauto = \"off\""),
       "0\n");
}

TEST_CASE("tool: system status says what is in force") {
  says(
      "$mseal system status || echo $?; $enable >/dev/null; "
      "printf 'late = \"off\"\\n[[program]]\\nname = \"bash\"\\nauto = \"off\"\\n' "
      ">/etc/libmseal/policy.toml; $mseal system status; echo $?; chmod 666 /etc/lm/libmseal.so; "
      "$mseal system status || echo $?",
      "/etc/ld.so.preload: does not name libmseal.so\n"
      "/etc/libmseal/policy.toml: does not exist, so the defaults apply\n1\n"
      "/etc/ld.so.preload: names /etc/lm/libmseal.so, which every program loads\n"
      "Programs of root and of nobody start as they should.\n"
      "/etc/libmseal/policy.toml: applies\n  all programs: late=off\n  bash: auto=off\n0\n"
      "/etc/ld.so.preload: names /etc/lm/libmseal.so, which is not safe: users other than root can change "
      "/etc/lm/libmseal.so\n"
      "/etc/libmseal/policy.toml: applies\n  all programs: late=off\n  bash: auto=off\n1\n");
}

TEST_CASE("tool: system status says what is wrong with a file, and with programs") {
  const auto status_after = [](const std::string& damage, const std::string& expected) {
    const std::optional<Run> result =
        in_private_etc("echo 'auto = \"off\"' >/etc/libmseal/policy.toml; $enable >/dev/null; " + damage +
                       "; $mseal system status 2>/dev/null || echo $?");
    if (!result) return;
    INFO(damage << ": " << result->out << result->err);
    CHECK_THAT(result->out, ContainsSubstring(expected) && ContainsSubstring("\n1\n"));
  };
  status_after("rm /etc/lm/mseal-supervisor", "/mseal-supervisor, which does not exist");
  status_after("echo 'auto = 7' >/etc/libmseal/policy.toml", "\n/etc/libmseal/policy.toml:1:8: ");
  status_after("chmod 600 /etc/libmseal/policy.toml",
               "Programs do not start as they should: true as nobody: libmseal: /etc/libmseal/policy.toml");
}

TEST_CASE("tool: system enable refuses a library that would break programs") {
  const auto refused = [&](const std::string& before, const std::string& why) {
    refuses_to_enable(kEnable + before, why);
  };
  refused("$mseal system enable --library=/etc/lm/no/libmseal.so", "/libmseal.so does not exist");
  refused("$mseal system enable --library=lm/libmseal.so", "is not an absolute path");
  refused("$mseal system enable --library='/etc/a b/libmseal.so'", "can't hold");
  refused("$mseal system enable --library=/etc/passwd", "is not called libmseal.so");
  refused("echo text >/etc/libmseal.so; $mseal system enable --library=/etc/libmseal.so",
          "is not an ELF file");
  // The machine is in bytes 18 and 19, the class in byte 4.
  refused(
      "printf '\\363' | dd of=/etc/lm/libmseal.so bs=1 seek=18 conv=notrunc 2>/dev/null; $mseal system "
      "enable --library=/etc/lm/libmseal.so",
      "is built for another architecture");
  refused("cp /etc/lm/own /etc/libmseal.so; $mseal system enable --library=/etc/libmseal.so",
          "is not libmseal");
  refused("chmod g+w /etc/lm/libmseal.so; $mseal system enable",
          "users other than root can change /etc/lm/libmseal.so");
  refused("chmod o+w /etc/lm; $mseal system enable", "users other than root can change /etc/lm");
  refused("chown 65534 /etc/lm/mseal-supervisor; $mseal system enable",
          "can change /etc/lm/mseal-supervisor");
  refused(
      "mkdir -m 777 /etc/o; ln -s /etc/o/x /etc/libmseal.so; ln -s /etc/lm/libmseal.so /etc/o/x; $mseal "
      "system "
      "enable --library=/etc/libmseal.so",
      "users other than root can change /etc/o");
  refused("chmod go= /etc/lm; $mseal system enable", "true as nobody: ");
}

TEST_CASE("tool: system enable refuses a system that it would break") {
  const auto refused = [&](const std::string& before, const std::string& why) {
    refuses_to_enable(kEnable + before + "; $mseal system enable", why);
  };
  const TemporaryPath musl("sh");
  std::string shell = text_in("/bin/sh");
  const std::size_t at = shell.find("/ld-linux");
  REQUIRE(at != std::string::npos);
  std::ofstream(musl.string(), std::ios::binary) << shell.replace(at, 9, std::string("/ld-musl\0", 9));
  std::filesystem::permissions(musl.string(), std::filesystem::perms(0755));
  refused("mount --bind " + musl.string() + " /bin/sh", "the C library is musl");
  refused("mount --bind " STATIC_PROGRAM " /bin/sh", "/bin/sh is static");
  refused("echo 'auto = 7' >/etc/libmseal/policy.toml", "/etc/libmseal/policy.toml:1:8: ");
  refused("touch /etc/libmseal/policy.toml; chmod o+w /etc/libmseal",
          "users other than root can change /etc/libmseal");
  refused("printf 'mode = \"audit\"\\nevents = \"/etc/hits\"\\n' >/etc/libmseal/policy.toml",
          " as nobody: libmseal: ");
}

TEST_CASE("tool: system enable takes back what does not work") {
  const std::optional<Run> result = in_private_etc(
      "printf '#!/bin/sh\\n! grep -q libmseal /etc/ld.so.preload\\n' >/etc/true; chmod 755 /etc/true; "
      "echo libm.so.6 >/etc/ld.so.preload; mount --bind /etc/true /usr/bin/true; "
      "$enable || echo $?; cat /etc/ld.so.preload; ls /etc/ld.so.preload*");
  if (!result) return;
  CHECK(result->out == "2\nlibm.so.6\n/etc/ld.so.preload\n");
  CHECK_THAT(result->err, ContainsSubstring("has been restored: true as root ends with status 1"));
}

TEST_CASE("tool: system enable says where sudo would stop working") {
  const std::string supervised = "echo 'backend = \"supervised\"' >/etc/libmseal/policy.toml; ";
  refuses_to_enable(kEnable + supervised + "$mseal system enable",
                    "sudo, su and other setuid programs would stop");
  says(supervised + "$enable | head -n 1; /etc/lm/own",
       "/etc/ld.so.preload names /etc/lm/libmseal.so: every program that starts now loads it.\n" + kSealed);
  // Services alone.
  says(supervised +
           "printf 'auto = \"off\"\\n[[program]]\\nname = \"own\"\\nauto = \"elf\"\\n' "
           ">>/etc/libmseal/policy.toml; $mseal system enable >/dev/null; /etc/lm/own; /etc/lm/root; "
           "as_nobody /etc/lm/own",
       kSealed + kUnsealed + kSealed);
}

TEST_CASE("tool: system works on another root") {
  says(
      "mkdir /etc/other; mount --rbind / /etc/other; mount --bind /etc/lm /etc/other/etc; "
      "cp /etc/ld.so.cache /etc/other/etc 2>/dev/null || true; "
      "$enable --root=/etc/other --library=/etc/libmseal.so | head -n 1; cat "
      "/etc/other/etc/ld.so.preload; [ ! -e /etc/ld.so.preload ]; $mseal system status --root=/etc/other | "
      "head -n 1; "
      "$mseal system disable --root=/etc/other | head -n 1; [ ! -e /etc/other/etc/ld.so.preload ]",
      "/etc/ld.so.preload names /etc/libmseal.so: every program that starts now loads it.\n"
      "/etc/libmseal.so\n"
      "/etc/ld.so.preload: names /etc/libmseal.so, which every program loads\n"
      "/etc/ld.so.preload is removed: programs that start now do not load libmseal.so. Those that run keep "
      "their seals.\n");
}

// Setuid programs are sealed as the system's policy says, whatever their caller's environment holds.
TEST_CASE("tool: the environment has no say in setuid programs that the system seals") {
  const std::string environment =
      "mkdir /etc/user /etc/user/libmseal; echo 'auto = \"off\"' >/etc/user/libmseal/policy.toml; "
      "$enable >/dev/null; hostile='env XDG_CONFIG_HOME=/etc/user "
      "MSEAL_OPTIONS=auto=off,backend=libc,supervisor=/bin/false LD_PRELOAD=/vgpreload_core.so setpriv'; "
      "as='--reuid=65534 --regid=65534 --clear-groups'; ";
  for (const std::string policy : {"", "backend = \"supervised\"", "scope = \"process\"",
                                   "backend = \"supervised\"\\nscope = \"process\""}) {
    const std::string write = "printf '" + policy + "\\n' >/etc/libmseal/policy.toml; ";
    // Of an ordinary program each of them decides.
    says(write + environment +
             "$hostile $as /etc/lm/own 2>/dev/null; $hostile $as /etc/lm/root 2>/dev/null; export "
             "XDG_CONFIG_HOME=/etc/user; as_nobody /etc/lm/own; as_nobody /etc/lm/root; as_nobody sh -c "
             "'/etc/lm/root; :'",
         kUnsealed + kSealed + kUnsealed + kSealed + kSealed);
    // In the tree of a sealed program.
    says(write + environment + "as_nobody /etc/lm/root", kSealed);
  }
  // The system's policy has a say.
  says(
      "printf '[[program]]\\nname = \"root\"\\nauto = \"off\"\\n' >/etc/libmseal/policy.toml; "
      "$enable >/dev/null; as_nobody /etc/lm/own; as_nobody /etc/lm/root",
      kSealed + kUnsealed);
}

// The supervisor may not look at a program that gains another user or group than root.
TEST_CASE("tool: the system's policy holds for programs that gain a group") {
  const std::string start =
      "cp /etc/lm/own /etc/lm/group; chgrp 1 /etc/lm/group; chmod 2755 /etc/lm/group; $enable "
      "--no-setuid >/dev/null; as_nobody /etc/lm/group";
  says(
      "printf 'late = \"off\"\\n[[program]]\\nname = \"group\"\\nauto = \"off\"\\n' "
      ">/etc/libmseal/policy.toml; " +
          start,
      kUnsealed);
  says("echo 'harden = [\"process_vm_writev\"]' >/etc/libmseal/policy.toml; " + start, kSealed);
}

}  // namespace
}  // namespace libmseal::tests
