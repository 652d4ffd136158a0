#!/usr/bin/env python3
"""Makes the files that a guest of another architecture runs on, which are also what is built against; prints where.

    tests/stock-kernel/guest_root.py arm64
"""
import sys

from debian_packages import Missing, Suite

# To run tests, and to build this project.
PACKAGES = ["base-files", "bash", "binutils", "cmake", "coreutils", "findutils", "grep", "make", "mount", "procps",
            "python3", "sed", "util-linux",
            "catch2", "libboost-dev", "libc6-dev", "libspdlog-dev", "libstdc++-12-dev",
            "libtomlplusplus-dev", "nlohmann-json3-dev"]


def make(arch):
    return Suite("bookworm", arch).root(PACKAGES)


if __name__ == "__main__":
    try:
        print(make(sys.argv[1]))
    except Missing as missing:
        sys.exit(f"stock-kernel: cannot build for {sys.argv[1]} here: {missing}")
