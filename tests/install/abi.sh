#!/bin/sh
# The interface of a libmseal.so against that of the last release, libmseal.ARCH.abi; what differs must be meant:
#   tests/install/abi.sh build/dev/shim/libmseal.so             compares
#   tests/install/abi.sh --update build/dev/shim/libmseal.so    writes the file anew
# A function that is gone, or takes something else, also takes a new SOVERSION in shim/CMakeLists.txt.
# Exit status 77: there is no abidiff (abigail-tools), or no file for this architecture (1 with MSEAL_TESTS_MUST_RUN=1).
set -eu
here=$(dirname "$0")
baseline=$here/libmseal.$(uname -m).abi
public="--drop-private-types --exported-interfaces-only"
cannot() {
  echo "abi.sh: $1"
  [ "${MSEAL_TESTS_MUST_RUN:-}" = 1 ] && exit 1
  exit 77
}
command -v abidiff >/dev/null || cannot "abidiff is missing (abigail-tools)"
if [ "$1" = --update ]; then
  exec abidw $public --headers-dir "$here/../../include" --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed \
    --out-file "$baseline" "$2"
fi
[ -f "$baseline" ] || cannot "$baseline is missing"
abidiff $public --headers-dir2 "$here/../../include" "$baseline" "$1" || {
  echo "abi.sh: the interface has changed; if that is meant: $0 --update $1"
  exit 1
}
