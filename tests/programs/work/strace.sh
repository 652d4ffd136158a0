# strace of a sealed program.
set -eu
strace -f -o trace sh -c 'echo traced | cat; ls / >/dev/null'
grep -c 'exited with 0' trace
grep -q 'write(1, "traced' trace && echo seen
