#!/bin/sh
# Builds the packages in two folders, and compares them and what is in them byte by byte:
#   tests/install/reproducible.sh        some minutes: two builds of everything that is installed
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH CCACHE_DISABLE=1  # ccache may rename sources in the debug information
for place in one another/deeper; do
  mkdir -p "$work/$place"
  tar --exclude=./build --exclude=./.git -cf - . | tar -C "$work/$place" -xf -
  (cd "$work/$place" && cmake --workflow --preset package) >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
  (cd "$work/$place/build/package" && sha256sum shim/libmseal.so.0 shim/mseal-supervisor shim/mseal packages/*.deb) \
    >"$work/$(basename "$place").sums"
done
diff "$work/one.sums" "$work/deeper.sums" || { echo "reproducible.sh: the bytes depend on the place" >&2; exit 1; }
cat "$work/one.sums"
