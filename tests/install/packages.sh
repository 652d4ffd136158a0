#!/bin/sh
# Installs, uses and purges the Debian packages on an empty Debian, as root:
#   .ci/setup package && cmake --workflow --preset package && tests/install/packages.sh bookworm
#   tests/install/packages.sh SUITE [FOLDER OF PACKAGES [--quick]]     --quick: nothing is compiled
# Without --quick also an upgrade to a version with another layout, which is built from a copy of these sources.
# Suites tried: bullseye, bookworm, trixie.
# Exit status 77: it can't be done here (1 with MSEAL_TESTS_MUST_RUN=1).
set -eu

fail() {
  echo "packages.sh: $*" >&2
  exit 1
}

install() {
  apt-get install -y -q --no-install-recommends "$@" </dev/null >log 2>&1 || { tail -n 20 log >&2; return 1; }
}

# Loads the library, of which the program knows nothing, and calls mprotect on its own sealed text.
sealed='
  open(my $maps, "<", "/proc/self/maps") or die;
  my @lines = <$maps>;
  die "the library is not loaded\n" unless grep { m{/libmseal\.so\.0$} } @lines;
  my ($text) = map { /^([0-9a-f]+)-\S+ r-xp .*perl$/ ? hex $1 : () } @lines;
  if ($ARGV[0]) { open(my $waits, ">", "waits") or die }
  while ($ARGV[0] && !-e $ARGV[0]) { select(undef, undef, undef, 0.05) }
  my $mprotect = `uname -m` =~ /aarch64/ ? 226 : 10;
  die "text was changed\n" unless syscall($mprotect, $text, 4096, 7) == -1 && $!{EPERM};
  print "sealed\n"'

use_library() {
  ldconfig -p | grep -q 'libmseal\.so\.0 ' || fail "ldconfig does not know libmseal.so.0"
  said=$(MSEAL_OPTIONS=backend=supervised,require=supervised LD_PRELOAD=libmseal.so perl -MErrno -e "$sealed" 2>&1) || true
  [ "$said" = sealed ] || fail "LD_PRELOAD=libmseal.so: $said"
}

# Until the program that was started last waits for the file "go".
until_it_waits() {
  for _ in $(seq 300); do
    [ ! -e waits ] || return 0
    sleep 0.1
  done
  fail "the program does not start: $(cat before)"
}

# A program goes on with its seals while the package is installed anew.
upgrade() {
  rm -f go waits
  MSEAL_OPTIONS=backend=supervised,require=supervised LD_PRELOAD=libmseal.so perl -MErrno -e "$sealed" go >before 2>&1 &
  program=$!
  until_it_waits
  install --reinstall ./libmseal0_*.deb || fail "libmseal0 can't be installed anew"
  use_library
  touch go
  wait "$program" || true
  [ "$(cat before)" = sealed ] || fail "a program from before the upgrade: $(cat before)"
}

# Seals a page, asks itself whether that holds, and starts two programs.
of_before='
  my ($mmap, $munmap) = `uname -m` =~ /aarch64/ ? (222, 215) : (9, 11);
  sub seals_a_page {
    my $page = syscall($mmap, 0, 4096, 1, 0x22, -1, 0);
    syscall(462, $page, 4096, 0) == 0 or die "mseal: $!\n";
    syscall($munmap, $page, 4096) == -1 && $!{EPERM} or die "a sealed page was unmapped\n";
  }
  seals_a_page();
  open(my $waits, ">", "waits") or die;
  while (!-e "go") { select(undef, undef, undef, 0.05) }
  seals_a_page();
  print STDERR "before: sealed\n";
  $ENV{MSEAL_OPTIONS} = "backend=supervised";
  system("perl", "-MErrno", "-e", $ARGV[0]) == 0 or die "a program in the tree failed\n";
  $ENV{MSEAL_OPTIONS} = "backend=supervised,require=supervised";
  system("/bin/true") >> 8 == 127 or die "a program in the tree ignores require=\n";'

# The new version has another layout: what runs goes on with the supervisor that it has, what it starts from then on does
# without one and says so, and whatever else starts has the new one.
upgrade_layout() {
  rm -f go waits
  MSEAL_OPTIONS=backend=supervised,require=supervised LD_PRELOAD=libmseal.so perl -MErrno -e "$of_before" "$sealed" >before 2>&1 &
  program=$!
  until_it_waits
  install ./next/libmseal0_*.deb || fail "the libmseal0 of another layout can't be installed"
  MSEAL_OPTIONS=backend=supervised,require=supervised,verbose=1 LD_PRELOAD=libmseal.so perl -MErrno -e "$sealed" >fresh 2>&1 || true
  grep -q '^sealed$' fresh && grep -q 'backend supervised on' fresh || fail "after the upgrade: $(cat fresh)"
  touch go
  wait "$program" || fail "a program from before the upgrade: $(cat before)"
  sed 's/^/  /' before
  tree="the supervisor of this process tree is of another version"
  [ "$(grep -c "backend filters instead of supervised: $tree" before)" = 1 ] || fail "no line says that the layout is another"
  grep -q "require=supervised cannot be met: $tree; the program is not started" before || fail "require= names no cause"
  [ "$(grep -c '^sealed$\|^before: sealed$' before)" = 2 ] && [ "$(wc -l <before)" = 4 ] || fail "more or less is said: $(cat before)"
  install --allow-downgrades ./libmseal0_*.deb || fail "the old libmseal0 can't be installed again"
}

use_tool() {
  mseal --version | grep -q '^mseal [0-9]' || fail "mseal --version"
  mseal check >said || [ $? = 1 ] || fail "mseal check: $(cat said)"
  [ "$(mseal run --backend=supervised --require=supervised -- perl -MErrno -e "$sealed" 2>&1)" = sealed ] || fail "mseal run"
  # The tool under its own preload, and from elsewhere than /.
  (cd /tmp && mseal run --backend=supervised --coverage=all -- /bin/true) || fail "mseal run --coverage=all"
  mseal policy check /usr/share/doc/libmseal0/examples/policy.toml || fail "the example's policy file"
  [ -f /usr/share/doc/mseal/examples/systemd/plain.conf ] || fail "the drop-ins for systemd"
}

use_development() {
  example=/usr/share/doc/libmseal-dev/examples/seal_own_memory.c
  flags=$(pkg-config --cflags --libs libmseal)
  cc $example -o by_pkg_config $flags
  cc $example -o by_hand -lmseal
  for program in ./by_pkg_config ./by_hand; do
    readelf -dW $program | grep -q 'NEEDED.*\[libmseal\.so\.0\]' || fail "$program does not ask for libmseal.so.0"
    MSEAL_OPTIONS=backend=supervised,require=supervised $program 2>&1 | grep -q 'sealed page: *Operation not permitted' || fail "$program"
  done
}

# Packages of the next version, whose layout is another, from these sources.
make_next() (
  set -e
  mkdir -p "$1"
  tar --exclude=./build --exclude=./.git -cf - . | tar -C "$1" -xf -
  cd "$1"
  layout=$(sed -n 's/.*kLayoutVersion = \([0-9]*\);/\1/p' policy/protocol/layout.h)
  sed -i "s/kLayoutVersion = $layout;/kLayoutVersion = $((layout + 1));/" policy/protocol/layout.h
  sed -i 's/\(CPACK_DEBIAN_PACKAGE_RELEASE\) 1)/\1 2)/' shim/install/packages.cmake
  cmake --preset package -DLIBMSEAL_TOOL=OFF -DLIBMSEAL_EXAMPLES=OFF
  cmake --build --preset package
  cpack --preset package
)

if [ "${1:-}" = --inside ]; then
  mkdir /packages
  cd /packages
  tar -xf -
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  find / -xdev -name '*mseal*' ! -path '/libmseal*' ! -path '/packages*' | sort >files_before
  install ./libmseal0_*.deb || fail "libmseal0 can't be installed"
  use_library
  upgrade
  echo "libmseal0: installed, preloaded, installed anew under a running program"
  if [ -d next ]; then
    upgrade_layout
    echo "libmseal0: another layout installed under a running program"
  fi
  install ./mseal_*.deb || fail "mseal can't be installed"
  use_tool
  names="mseal libmseal0"
  echo "mseal: installed and used"
  if [ "${2:-}" != --quick ]; then
    install ./libmseal-dev_*.deb gcc libc6-dev pkg-config || fail "libmseal-dev can't be installed"
    use_development
    names="libmseal-dev $names"
    echo "libmseal-dev: two consumers built and run"
  fi
  library=$(dpkg -L libmseal0 | grep '/libmseal\.so$')
  printf '# %s\n%s:%s.0 /usr/local%s# kept' "$library" "$library" "$library" "$library" >/etc/ld.so.preload
  apt-get purge -y -qq $names </dev/null >log 2>&1 || { cat log >&2; fail "purge"; }
  [ "$(cat /etc/ld.so.preload)" = "# $library
/usr/local$library# kept" ] || fail "purging leaves in /etc/ld.so.preload: $(cat /etc/ld.so.preload)"
  rm /etc/ld.so.preload
  find / -xdev -name '*mseal*' ! -path '/libmseal*' ! -path '/packages*' | sort >files_after
  diff files_before files_after || fail "purging leaves files"
  ! ldconfig -p | grep -q libmseal || fail "ldconfig still knows libmseal"
  echo "purged: nothing is left"
  exit 0
fi

[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
suite=$1
cd "$(dirname "$0")/../.."
folder=${2:-build/package/packages}
ls "$folder"/libmseal0_*.deb "$folder"/libmseal-dev_*.deb "$folder"/mseal_*.deb >/dev/null || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$(realpath "$folder")"/*.deb "$work"
if [ "${3:-}" != --quick ]; then
  mkdir "$work/next"
  make_next "$work/sources" >"$work/log" 2>&1 || true
  mv "$work"/sources/build/package/packages/libmseal0_*-2_*.deb "$work/next" ||
    { tail -n 20 "$work/log" >&2; fail "the version of another layout can't be built"; }
  rm -rf "$work/sources"
fi
tar -C "$work" --dereference -cf - . | .ci/on-empty-debian "$suite" tests/install/packages.sh --inside ${3:-}
