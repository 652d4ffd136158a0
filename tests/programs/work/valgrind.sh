# valgrind runs programs on a processor of its own.
set -eu
valgrind -q --error-exitcode=3 sh -c 'echo under valgrind'
