#!/usr/bin/env python3
"""Makes the files that a guest of another architecture runs on, which are also what is built against; prints where.

    tests/stock-kernel/guest_root.py arm64
"""
import os
import sys

from debian_packages import Missing, Suite

# To run tests, and to build this project.
PACKAGES = ["base-files", "bash", "coreutils", "util-linux", "mount", "grep", "sed", "procps", "binutils", "python3", "cmake",
            "libc6-dev", "libstdc++-12-dev", "libseccomp-dev", "libboost-dev", "libspdlog-dev", "catch2"]

if __name__ == "__main__":
    try:
        print(Suite("bookworm", sys.argv[1]).root(PACKAGES))
    except Missing as missing:
        must = os.environ.get("MSEAL_TESTS_MUST_RUN") == "1"
        print(f"stock-kernel: cannot run here{', and must' if must else ''}: {missing}", file=sys.stderr)
        sys.exit(1 if must else 77)
